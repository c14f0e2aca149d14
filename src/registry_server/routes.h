// What a path of the registry's protocol asks for. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kist::registry_server {

struct Route {
  enum class Kind { base, catalog, tags, manifest, blob, uploads, upload, referrers, token, metrics, health, ready };
  Kind kind = Kind::base;
  std::string repository;  // Not checked yet: names.h.
  std::string last;        // A tag or digest; the id of an upload.
};

/// `path` is decoded. None: no such thing here.
std::optional<Route> parse_route(std::string_view path);

/// For metrics and logs: "manifest".
std::string_view name_of(Route::Kind kind);

}  // namespace kist::registry_server
