// Answers in the words of the distribution-spec: error bodies, lists with a next page.
#pragma once

#include <string>
#include <string_view>

#include "http_server/message.h"
#include "registry_server/content_digest.h"

namespace kist::registry_server {

using http_server::Answer;
using http_server::Response;

/// {"errors":[{"code":…,"message":…}]}. `code` as in the specification: "BLOB_UNKNOWN".
Response refusal(int status, std::string_view code, std::string_view message);
/// What went wrong in here: 507 for a full disk or quota, 503 for what may pass, else 500. `code` for
/// errors of the client (invalid, corrupt, unsupported: 400; not_found: 404).
Response failure(const Error& error, std::string_view code = "UNKNOWN");
/// 201 or 202 without a body, with a location and the digest.
Response succeeded(int status, std::string_view location, const ContentDigest* digest = nullptr);

std::string blob_location(std::string_view repository, const ContentDigest& digest);
std::string upload_location(std::string_view repository, std::string_view id);

bool is_disk_full(const Error& error);

}  // namespace kist::registry_server
