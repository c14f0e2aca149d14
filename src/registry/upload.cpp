// Blobs on their way to a registry: POST to begin, PATCH with the bytes, PUT to end. That is three
// requests where one could do, but what was interrupted can be taken up again.
#include <random>
#include <thread>

#include "base/text.h"
#include "http/retry.h"
#include "registry/challenge.h"
#include "registry/client.h"
#include "registry/upload_note.h"

namespace kist::registry {
namespace {

constexpr int kMostResumes = 5;
// A network that breaks again and again is borne with while it takes something.
constexpr uint64_t kProgressBytes = 1u << 20;
constexpr uint64_t kSmall = 4u << 20;  // Sent whole, at the end of the upload: nothing worth resuming.

// Tells what goes through.
Source counted(Source source, const std::function<void(uint64_t)>& sent) {
  return [source = std::move(source), sent]() -> Result<std::string_view> {
    const std::string_view piece = TRY(source());
    if (sent && !piece.empty()) sent(piece.size());
    return piece;
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

// From which byte to go on after an interruption. What the registry has forgotten begins anew.
Result<uint64_t> Repository::place_of(const Upload& upload, std::string& location, bool& mounted) {
  auto there = uploaded(location);
  if (there || there.error().code() != Code::not_found) return there;
  location = TRY(begin_upload(upload, mounted));
  return 0;
}

// Sends all from `from` on; where the upload is to be ended.
Result<std::string> Repository::send(const Upload& upload, const std::string& location, uint64_t from) {
  Source source = TRY(upload.open(from));
  http::Call call{.method = "PATCH", .url = location, .headers = {"Content-Type: application/octet-stream"}, .body = {},
                  .source = counted(limited(std::move(source), options_.rate), upload.sent), .source_bytes = upload.size_bytes - from};
  if (from > 0) call.headers.push_back(fmt::format("Content-Range: {}-{}", from, upload.size_bytes - 1));
  http::Stream answer = TRY(session_.call(call, push_scope()));
  if (answer.head().status / 100 != 2) return refusal(answer, session_.address(), "the upload");
  return session_.resolve(answer.head().field("location"));
}

Result<Repository::Pushed> Repository::end_upload(const Upload& upload, const std::string& location, std::string body) {
  http::Call end;
  end.method = "PUT";
  end.headers = {"Content-Type: application/octet-stream"};
  end.url = with_digest(location, upload.digest);
  end.body = std::move(body);
  http::Stream answer = TRY(session_.call(end, push_scope()));
  if (answer.head().status / 100 == 2) return Pushed::sent;
  return refusal(answer, session_.address(), fmt::format("push of blob {}", upload.digest.hex().substr(0, 12)));
}

// In memory, so that it can be sent again.
Result<Repository::Pushed> Repository::push_small(const Upload& upload) {
  bool mounted = false;
  const std::string location = TRY(begin_upload(upload, mounted));
  if (mounted) return Pushed::mounted;
  const Source source = TRY(upload.open(0));
  std::string body;
  while (true) {
    const std::string_view piece = TRY(source());
    if (piece.empty()) break;
    body += piece;
  }
  if (options_.rate != nullptr) options_.rate->take(body.size());
  if (upload.sent) upload.sent(body.size());
  return end_upload(upload, location, std::move(body));
}

// What another process had begun may be in any state, and anew is always right: 0.
uint64_t Repository::taken_up(const Upload& upload, const std::string& noted, std::string& location) {
  const auto resolved = noted.empty() ? Result<std::string>(std::string()) : session_.resolve(noted);
  if (!resolved || resolved->empty()) return 0;
  location = *resolved;
  const auto there = uploaded(location);
  return there && *there <= upload.size_bytes ? *there : 0;
}

Result<Repository::Pushed> Repository::push_large(const Upload& upload, UploadNote* note, bool& is_taken_up) {
  bool mounted = false;
  std::string location;
  uint64_t from = note == nullptr ? 0 : taken_up(upload, note->location(), location);
  is_taken_up = from > 0;
  if (!is_taken_up) location = TRY(begin_upload(upload, mounted));
  for (int resumes = 0; !mounted;) {
    if (note != nullptr) note->write(location);
    if (from == upload.size_bytes) break;
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
    from = TRY(place_of(upload, location, mounted));
    if (from > upload.size_bytes) return Error(Code::corrupt, "the registry has {} bytes of an upload of {}", from, upload.size_bytes);
    if (from >= before + kProgressBytes) resumes = 0;
  }
  if (mounted) return Pushed::mounted;
  return end_upload(upload, location, {});
}

Result<Repository::Pushed> Repository::push_blob(const Upload& upload) {
  const bool there = TRY(has_blob(upload.digest));
  if (there) return Pushed::there;
  const Held held(*connections_);
  if (upload.size_bytes <= kSmall) return push_small(upload);
  const Address& address = session_.address();
  auto note = UploadNote::open(options_.notes_folder, address.host + "/" + address.repository, upload.digest);
  bool is_taken_up = false;
  auto pushed = push_large(upload, note ? &*note : nullptr, is_taken_up);
  // What an earlier process left there was perhaps not what it was taken for.
  const bool is_refused = !pushed && pushed.error().code() != Code::unavailable;
  if (is_refused && is_taken_up) {
    note->forget();
    pushed = push_large(upload, nullptr, is_taken_up);
  }
  // Also one that was refused: it would be refused again.
  if (note && (pushed || is_refused)) note->forget();
  return pushed;
}

}  // namespace kist::registry
