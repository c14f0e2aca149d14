// Blobs on their way to a registry: POST to begin, PATCH with the bytes, PUT to end. That is three
// requests where one could do, but what was interrupted can be taken up again.
#include <random>
#include <thread>

#include "base/text.h"
#include "http/retry.h"
#include "registry/challenge.h"
#include "registry/client.h"

namespace kist::registry {
namespace {

constexpr int kMostResumes = 5;
// A network that breaks again and again is borne with while it takes something.
constexpr uint64_t kProgressBytes = 1u << 20;
constexpr uint64_t kSmall = 4u << 20;  // Sent whole, at the end of the upload: nothing worth resuming.

// The source from `from` on, counted.
Source counted(Source source, uint64_t from, const std::function<void(uint64_t)>& sent) {
  return [source = std::move(source), to_skip = from, sent]() mutable -> Result<std::string_view> {
    while (true) {
      std::string_view piece = TRY(source());
      if (piece.empty()) return piece;
      const size_t skipped = static_cast<size_t>(std::min<uint64_t>(to_skip, piece.size()));
      to_skip -= skipped;
      piece.remove_prefix(skipped);
      if (piece.empty()) continue;
      if (sent) sent(piece.size());
      return piece;
    }
  };
}

std::string with_digest(const std::string& location, const oci::Digest& digest) {
  return location + (location.find('?') == std::string::npos ? "?" : "&") + "digest=" + escape(digest.string());
}

}  // namespace

// Where to send it; `mounted`: no need to. A mount that is refused begins an upload as well.
Result<std::string> Repository::begin_upload(const Upload& upload, bool& mounted) {
  const std::string& repository = session_.address().repository;
  std::vector<std::string> scopes = push_scope();
  http::Call call;
  call.method = "POST";
  call.url = session_.url(fmt::format("{}/blobs/uploads/", repository));
  if (!upload.mount_from.empty()) {
    call.url += fmt::format("?mount={}&from={}", escape(upload.digest.string()), escape(upload.mount_from.front()));
    scopes.push_back(scope_of(upload.mount_from.front(), false));
  }
  http::Stream answer = TRY(session_.call(call, scopes));
  mounted = answer.head().status == 201;
  if (mounted) return std::string();
  if (answer.head().status != 202)
    return refusal(answer, session_.address(), fmt::format("push to {}", printable(repository)));
  return session_.resolve(answer.head().field("location"));
}

// How far it got, and where to go on.
Result<uint64_t> Repository::uploaded(std::string& location) {
  http::Call call;
  call.url = location;
  http::Stream answer = TRY(session_.call(call, push_scope()));
  if (answer.head().status / 100 != 2) return refusal(answer, session_.address(), "the upload");
  if (const auto next = answer.head().field("location"); !next.empty()) location = TRY(session_.resolve(next));
  // "0-99": a hundred bytes are there. An empty upload says "0-0", as one of one byte does.
  const std::string_view range = answer.head().field("range");
  const size_t dash = range.find('-');
  const auto last = dash == std::string_view::npos ? std::nullopt : parse_number(trim(range.substr(dash + 1)));
  return last && *last > 0 ? *last + 1 : 0;
}

// How much of an interrupted upload is there. What the registry has forgotten begins anew.
Result<uint64_t> Repository::taken_up(const Upload& upload, std::string& location, bool& mounted) {
  auto there = uploaded(location);
  if (there || there.error().code() != Code::not_found) return there;
  location = TRY(begin_upload(upload, mounted));
  return 0;
}

// Sends all from `from` on; where the upload is to be ended.
Result<std::string> Repository::send(const Upload& upload, const std::string& location, uint64_t from) {
  const Source source = TRY(upload.open());
  http::Call call{.method = "PATCH", .url = location, .headers = {"Content-Type: application/octet-stream"}, .body = {},
                  .source = counted(source, from, upload.sent), .source_bytes = upload.size_bytes - from};
  if (from > 0) call.headers.push_back(fmt::format("Content-Range: {}-{}", from, upload.size_bytes - 1));
  http::Stream answer = TRY(session_.call(call, push_scope()));
  if (answer.head().status / 100 != 2) return refusal(answer, session_.address(), "the upload");
  return session_.resolve(answer.head().field("location"));
}

Result<Repository::Pushed> Repository::push_blob(const Upload& upload) {
  const bool there = TRY(has_blob(upload.digest));
  if (there) return Pushed::there;
  bool mounted = false;
  std::string location = TRY(begin_upload(upload, mounted));
  if (mounted) return Pushed::mounted;
  http::Call end;
  end.method = "PUT";
  end.headers = {"Content-Type: application/octet-stream"};
  if (upload.size_bytes > kSmall) {
    uint64_t from = 0;
    for (int resumes = 0;;) {
      auto next = send(upload, location, from);
      if (next) {
        location = *next;
        break;
      }
      // A token may run out between two calls; asking how far it got fetches another.
      const bool may_pass = next.error().code() == Code::unavailable || (next.error().code() == Code::denied && resumes == 0);
      if (!may_pass || ++resumes > kMostResumes) return next.error();
      std::this_thread::sleep_for(http::back_off(std::chrono::milliseconds(250), resumes, std::random_device{}()));
      const uint64_t before = from;
      from = TRY(taken_up(upload, location, mounted));
      if (mounted) return Pushed::mounted;
      if (from > upload.size_bytes) return Error(Code::corrupt, "the registry has {} bytes of an upload of {}", from, upload.size_bytes);
      if (from >= before + kProgressBytes) resumes = 0;
      if (from == upload.size_bytes) break;
    }
  } else {
    // In memory, so that it can be sent again.
    const Source source = TRY(upload.open());
    while (true) {
      const std::string_view piece = TRY(source());
      if (piece.empty()) break;
      end.body += piece;
    }
    if (upload.sent) upload.sent(end.body.size());
  }
  end.url = with_digest(location, upload.digest);
  http::Stream answer = TRY(session_.call(end, push_scope()));
  if (answer.head().status / 100 != 2)
    return refusal(answer, session_.address(), fmt::format("push of blob {}", upload.digest.hex().substr(0, 12)));
  return Pushed::sent;
}

}  // namespace kist::registry
