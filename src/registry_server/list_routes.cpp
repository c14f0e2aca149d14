// Lists: tags, repositories, referrers.
#include <algorithm>
#include <boost/json.hpp>
#include <iterator>

#include "base/text.h"
#include "registry_server/json_text.h"
#include "registry_server/registry.h"

namespace kist::registry_server {
namespace {

constexpr size_t kPageNames = 10'000;
constexpr size_t kPageBytes = 3u << 20;  // Clients bound an index to 4 MiB.

std::string names_list(const std::vector<std::string>& names) {
  std::string out = "[";
  for (const std::string& name : names) out += fmt::format("{}\"{}\"", out.size() == 1 ? "" : ",", name);
  return out + "]";
}

// How many the query asks for; none: it says no number.
std::optional<size_t> count_of(const http_server::Target& target) {
  const std::string* text = target.find("n");
  if (text == nullptr) return kPageNames;
  const auto count = parse_number(*text);
  if (!count) return std::nullopt;
  return static_cast<size_t>(std::min<uint64_t>(*count, kPageNames));
}

Response page_response(const Page& page, std::string_view path, size_t count, std::string body) {
  Response response;
  response.add("Content-Type", "application/json").add("Docker-Distribution-Api-Version", "registry/2.0");
  if (page.has_more && !page.names.empty())
    response.add("Link", fmt::format("<{}?n={}&last={}>; rel=\"next\"", path, count, http_server::encode_percent(page.names.back())));
  response.body = std::move(body);
  return response;
}

// Names of two sorted lists, each once, after `last`.
void merge(Page& page, const std::vector<std::string>& more, std::string_view last, size_t count) {
  std::vector<std::string> all;
  const auto from = last.empty() ? more.begin() : std::upper_bound(more.begin(), more.end(), last);
  std::set_union(page.names.begin(), page.names.end(), from, more.end(), std::back_inserter(all));
  page.has_more = all.size() > count;
  if (page.has_more) all.resize(count);
  page.names = std::move(all);
}

std::string_view last_of(const http_server::Target& target) {
  const std::string* last = target.find("last");
  return last == nullptr ? std::string_view() : std::string_view(*last);
}

std::string artifact_type_of(const std::string& descriptor) {
  boost::system::error_code error;
  const auto value = boost::json::parse(descriptor, error);
  if (error || !value.is_object()) return {};
  const auto* type = value.get_object().if_contains("artifactType");
  return type != nullptr && type->is_string() ? std::string(type->get_string().data(), type->get_string().size()) : std::string();
}

}  // namespace

Response Registry::tags(const Call& call) {
  const auto count = count_of(call.target);
  if (!count) return refusal(400, "PAGINATION_NUMBER_INVALID", "'n' is not a number");
  const auto local = parts_.local == nullptr ? Result<std::vector<std::string>>(std::vector<std::string>())
                                             : parts_.local->tags(call.repository());
  if (!local) return failure(local.error());
  auto page = parts_.catalog.tags(call.repository(), last_of(call.target), local->empty() ? *count : SIZE_MAX);
  if (!page) return failure(page.error());
  if (!local->empty()) merge(*page, *local, last_of(call.target), *count);
  if (page->names.empty()) {
    const auto is_there = parts_.catalog.has_repository(call.repository());
    if (!is_there) return failure(is_there.error());
    if (!*is_there && local->empty()) return refusal(404, "NAME_UNKNOWN", fmt::format("there is no repository '{}'", call.repository()));
  }
  return page_response(*page, fmt::format("/v2/{}/tags/list", call.repository()), *count,
                       fmt::format("{{\"name\":\"{}\",\"tags\":{}}}\n", call.repository(), names_list(page->names)));
}

Response Registry::repositories(const Call& call) {
  const auto count = count_of(call.target);
  if (!count) return refusal(400, "PAGINATION_NUMBER_INVALID", "'n' is not a number");
  auto all = parts_.catalog.repositories(last_of(call.target), SIZE_MAX);
  if (!all) return failure(all.error());
  if (parts_.local != nullptr) {
    const auto local = parts_.local->repositories();
    if (!local) return failure(local.error());
    merge(*all, *local, last_of(call.target), SIZE_MAX);
  }
  Page page;
  for (std::string& name : all->names) {
    if (!parts_.access.may(call.who, Right::read, name)) continue;
    if (page.names.size() == *count) {
      page.has_more = true;
      break;
    }
    page.names.push_back(std::move(name));
  }
  return page_response(page, "/v2/_catalog", *count, fmt::format("{{\"repositories\":{}}}\n", names_list(page.names)));
}

Response Registry::referrers(const Call& call) {
  const auto subject = ContentDigest::parse(call.route.last);
  if (!subject) return refusal(400, "DIGEST_INVALID", subject.error().message());
  const auto all = parts_.catalog.referrers(call.repository(), *subject);
  if (!all) return failure(all.error());
  const std::string* type = call.target.find("artifactType");
  const auto skip = parse_number(last_of(call.target)).value_or(0);
  std::string list;
  std::optional<size_t> next;
  for (size_t i = static_cast<size_t>(skip); i < all->size(); ++i) {
    const std::string& descriptor = (*all)[i];
    if (type != nullptr && artifact_type_of(descriptor) != *type) continue;
    if (!list.empty() && list.size() + descriptor.size() > kPageBytes) {
      next = i;
      break;
    }
    list += list.empty() ? "" : ",";
    list += descriptor;
  }
  Response response;
  response.add("Content-Type", "application/vnd.oci.image.index.v1+json").add("Docker-Distribution-Api-Version", "registry/2.0");
  if (type != nullptr) response.add("OCI-Filters-Applied", "artifactType");
  if (next)
    response.add("Link", fmt::format("</v2/{}/referrers/{}?last={}{}>; rel=\"next\"", call.repository(), subject->string(), *next,
                                     type == nullptr ? "" : "&artifactType=" + http_server::encode_percent(*type)));
  response.body = fmt::format(
      "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{}]}}\n", list);
  return response;
}

}  // namespace kist::registry_server
