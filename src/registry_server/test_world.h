// A registry over a folder of its own, asked without a socket. For tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "os/files.h"
#include "registry_server/folder_storage.h"
#include "registry_server/registry.h"

namespace kist::registry_server::testing {

struct Asked {
  int status = 0;
  std::string head;
  std::string body;
  /// Of a header line; empty when it is not there.
  std::string header(std::string_view name) const {
    const std::string start = "\r\n" + std::string(name) + ": ";
    const std::string all = "\r\n" + head;
    const size_t at = all.find(start);
    if (at == std::string::npos) return "";
    const size_t from = at + start.size();
    return all.substr(from, all.find("\r\n", from) - from);
  }
};

class World {
 public:
  explicit World(AccessOptions access = {}, RegistryOptions options = {}, std::vector<Quota> limits = {})
      : folder(*os::TempDir::make(::testing::TempDir())), storage(*FolderStorage::open(root(), false)), catalog(*storage),
        uploads({.folder = root() + "/uploads"}), access_(*Access::make(std::move(access))), quotas(std::move(limits)), rate(0, 0),
        registry({.catalog = catalog, .uploads = uploads, .access = *access_, .metrics = metrics, .quotas = quotas, .rate = rate,
                  .upstream = nullptr, .local = nullptr, .log = {}, .more_metrics = {}}, std::move(options)) {}

  std::string root() const { return folder.path() + "/registry"; }

  using Fields = std::vector<std::pair<std::string_view, std::string_view>>;
  Asked ask(std::string_view method, std::string_view target, std::string_view body = "", Fields fields = {}) {
    http_server::Request request;
    request.method = method;
    request.target = target;
    request.peer = "192.0.2.1";
    request.has_body = !body.empty();
    if (!body.empty()) request.content_length = body.size();
    request.fields = std::move(fields);
    Answer answer = registry.handle(request);
    while (auto* later = std::get_if<http_server::Later>(&answer.what)) {
      const auto work = std::move(later->work);
      answer = work();
    }
    Response response;
    if (auto* receiver = std::get_if<std::unique_ptr<http_server::BodyReceiver>>(&answer.what)) {
      auto taken = (*receiver)->take(body);
      response = taken ? (*receiver)->finish() : (*receiver)->failed(taken.error());
    } else {
      response = std::move(std::get<Response>(answer.what));
    }
    registry.done(request, {.status = response.status});
    return {response.status, response.head, body_of(response)};
  }

  /// Pushes in one request; the digest.
  std::string push_blob(const std::string& repository, std::string_view bytes, Algorithm algorithm = Algorithm::sha256) {
    const std::string digest = Hasher::of(algorithm, bytes).string();
    const Asked begun = ask("POST", "/v2/" + repository + "/blobs/uploads/");
    EXPECT_EQ(begun.status, 202) << begun.body;
    const Asked put = ask("PUT", begun.header("Location") + "?digest=" + digest, bytes);
    EXPECT_EQ(put.status, 201) << put.body;
    return digest;
  }

  static std::string manifest_of(const std::string& blob, std::string_view more = "") {
    return fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json",)"
                       R"("digest":"{}","size":1}},"layers":[]{}}})", kManifestType, blob, more);
  }
  Asked push_manifest(const std::string& repository, const std::string& reference, const std::string& text,
                      std::string_view type = kManifestType) {
    return ask("PUT", "/v2/" + repository + "/manifests/" + reference, text, {{"Content-Type", type}});
  }
  static constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";

  os::TempDir folder;
  std::unique_ptr<FolderStorage> storage;
  Catalog catalog;
  Uploads uploads;
  std::unique_ptr<Access> access_;
  Metrics metrics;
  Quotas quotas;
  RateLimit rate;
  Registry registry;

 private:
  static std::string body_of(const Response& response) {
    if (const auto* text = std::get_if<std::string>(&response.body)) return *text;
    if (const auto* shared = std::get_if<std::shared_ptr<const std::string>>(&response.body)) return *shared ? **shared : "";
    const auto* file = std::get_if<http_server::FileBody>(&response.body);
    if (file == nullptr) return "";
    std::string out(file->size_bytes, '\0');
    EXPECT_EQ(::pread(file->file->get(), out.data(), out.size(), static_cast<off_t>(file->offset)), static_cast<ssize_t>(out.size()));
    return out;
  }
};

}  // namespace kist::registry_server::testing
