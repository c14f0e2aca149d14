#include "registry_server/routes.h"

namespace kist::registry_server {
namespace {

using Kind = Route::Kind;

std::optional<Route> in_repository(Kind kind, std::string_view repository, std::string_view last) {
  if (repository.empty()) return std::nullopt;
  return Route{kind, std::string(repository), std::string(last)};
}

// "a/b/blobs" with "/blobs" gives "a/b". Read from the end, since components of names are free:
// "blobs/uploads" is a good name for a repository.
bool cut_end(std::string_view& text, std::string_view end) {
  if (!text.ends_with(end)) return false;
  text.remove_suffix(end.size());
  return true;
}

}  // namespace

std::optional<Route> parse_route(std::string_view path) {
  if (path == "/v2" || path == "/v2/") return Route{Kind::base, {}, {}};
  if (path == "/token") return Route{Kind::token, {}, {}};
  if (path == "/metrics") return Route{Kind::metrics, {}, {}};
  if (path == "/healthz") return Route{Kind::health, {}, {}};
  if (path == "/readyz") return Route{Kind::ready, {}, {}};
  if (!path.starts_with("/v2/")) return std::nullopt;
  std::string_view rest = path.substr(4);
  if (rest == "_catalog") return Route{Kind::catalog, {}, {}};
  if (cut_end(rest, "/tags/list")) return in_repository(Kind::tags, rest, {});
  const size_t slash = rest.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view last = rest.substr(slash + 1);
  rest = rest.substr(0, slash);
  if (cut_end(rest, "/manifests")) return in_repository(Kind::manifest, rest, last);
  if (cut_end(rest, "/referrers")) return in_repository(Kind::referrers, rest, last);
  if (cut_end(rest, "/blobs/uploads")) return in_repository(last.empty() ? Kind::uploads : Kind::upload, rest, last);
  if (cut_end(rest, "/blobs")) return last == "uploads" ? in_repository(Kind::uploads, rest, {}) : in_repository(Kind::blob, rest, last);
  return std::nullopt;
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::base: return "base";
    case Kind::catalog: return "catalog";
    case Kind::tags: return "tags";
    case Kind::manifest: return "manifest";
    case Kind::blob: return "blob";
    case Kind::uploads:
    case Kind::upload: return "upload";
    case Kind::referrers: return "referrers";
    case Kind::token: return "token";
    case Kind::metrics: return "metrics";
    case Kind::health:
    case Kind::ready: return "health";
  }
  return "other";
}

}  // namespace kist::registry_server
