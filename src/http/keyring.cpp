#include "http/keyring.h"

#include <algorithm>

#include "base/text.h"
#include "os/child.h"

namespace kist::http {
namespace {

std::string ask(const std::string& service, const std::string& user,
                const std::vector<std::string>& environment) {
  os::Command command;
  command.args = {"/usr/bin/env", "keyring", "get", service, user};  // By the PATH of `environment`.
  command.env = environment;
  command.output_limit = 64 << 10;
  const auto answer = os::run(command);
  if (!answer || answer->status != 0) return "";
  return std::string(trim(answer->out));
}

void fill(Secret& url, const std::vector<std::string>& environment) {
  auto [bare, user] = split_credentials(url.reveal());
  if (user.empty() || user.find(':') != std::string::npos) return;
  const std::string origin = origin_of(bare);
  const std::string host = origin.substr(std::min(origin.find("://") + 3, origin.size()));
  std::string word = ask(bare, user, environment);
  if (word.empty()) word = ask(host, user, environment);
  if (!word.empty()) url = Secret(with_credentials(bare, user, word));
}

}  // namespace

void ask_keyring(IndexConfig& indexes, const std::vector<std::string>& environment) {
  if (indexes.keyring_provider != "subprocess") return;
  fill(indexes.default_url, environment);
  for (Index& index : indexes.extra) fill(index.url, environment);
}

}  // namespace kist::http
