#include "registry_server/answers.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "registry_server/json_text.h"

namespace kist::registry_server {

Response refusal(int status, std::string_view code, std::string_view message) {
  Response response;
  response.status = status;
  response.add("Content-Type", "application/json; charset=utf-8");
  response.add("Docker-Distribution-Api-Version", "registry/2.0");
  response.body = fmt::format("{{\"errors\":[{{\"code\":\"{}\",\"message\":{},\"detail\":{{}}}}]}}\n", code, json_quoted(message));
  return response;
}

// Errors carry what callers branch on, and that is not which errno it was. Only here it matters.
bool is_disk_full(const Error& error) {
  for (const int number : {ENOSPC, EDQUOT}) {
    const std::string text = std::generic_category().message(number);
    for (const std::string& frame : error.frames())
      if (frame.ends_with(text)) return true;
  }
  return false;
}

Response failure(const Error& error, std::string_view code) {
  if (is_disk_full(error)) return refusal(507, "UNAVAILABLE", "the registry's disk is full");
  switch (error.code()) {
    case Code::invalid:
    case Code::corrupt:
    case Code::unsupported: return refusal(400, code, error.message());
    case Code::not_found: return refusal(404, code, error.message());
    case Code::exists: return refusal(409, code, error.message());
    case Code::denied: return refusal(403, "DENIED", error.message());
    case Code::unavailable: {
      Response response = refusal(503, "UNAVAILABLE", error.message());
      response.add("Retry-After", "5");
      return response;
    }
    case Code::internal: break;
  }
  return refusal(500, "UNKNOWN", error.message());
}

Response succeeded(int status, std::string_view location, const ContentDigest* digest) {
  Response response;
  response.status = status;
  response.add("Docker-Distribution-Api-Version", "registry/2.0");
  if (!location.empty()) response.add("Location", location);
  if (digest != nullptr) response.add("Docker-Content-Digest", digest->string());
  return response;
}

std::string blob_location(std::string_view repository, const ContentDigest& digest) {
  return fmt::format("/v2/{}/blobs/{}", repository, digest.string());
}

std::string upload_location(std::string_view repository, std::string_view id) {
  return fmt::format("/v2/{}/blobs/uploads/{}", repository, id);
}

}  // namespace kist::registry_server
