#include "registry_server/blob_fetches.h"

#include "base/text.h"
#include "http_server/request_text.h"
#include "registry_server/answers.h"

namespace kist::registry_server {
namespace {

constexpr int kTries = 4;  // In a row that bring nothing.
constexpr size_t kMaxParts = 1000;
constexpr uint64_t kSmall = 256 << 10;

std::string key_of(const std::string& repository, const ContentDigest& digest) { return repository + "#" + digest.string(); }

// What an answer says of the whole blob and of where its body begins.
struct Announced {
  uint64_t offset = 0;
  std::optional<uint64_t> size_bytes;
};

Result<Announced> announced(const WebAnswer& head) {
  Announced out;
  if (head.status != 206) {
    out.size_bytes = parse_number(head.header("content-length"));
    return out;
  }
  const std::string field = head.header("content-range");
  const auto range = http_server::parse_content_range(field);
  if (!range) return Error(Code::corrupt, "the upstream registry sends a part without saying which");
  out.offset = range->first;
  out.size_bytes = parse_number(std::string_view(field).substr(field.rfind('/') + 1));
  return out;
}

// A disk that is full has no room for halves.
bool may_pass(const Error& error) { return error.code() == Code::unavailable && !is_disk_full(error); }

}  // namespace

BlobFetches::BlobFetches(Options options, Ask ask, Catalog& catalog, Uploads& uploads)
    : options_(std::move(options)), ask_(std::move(ask)), catalog_(catalog), uploads_(uploads) {}

BlobFetches::~BlobFetches() {
  stop();
  for (std::thread& thread : threads_) thread.join();
}

void BlobFetches::stop() {
  {
    const std::scoped_lock lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_all();
}

Result<std::optional<BlobSource>> BlobFetches::open(const std::string& repository, const ContentDigest& digest) {
  const std::string key = key_of(repository, digest);
  std::unique_lock lock(mutex_);
  FetchPtr& place = running_[key];
  if (place == nullptr) {
    place = std::make_shared<Fetch>(Fetch{.repository = repository, .digest = digest, .upload = {}, .file = {}, .error = {}});
    queue_.push_back(place);
    if (idle_ < queue_.size() && threads_.size() < options_.at_once) threads_.emplace_back([this] { work(); });
    wake_.notify_all();
  }
  const FetchPtr fetch = place;
  // Of a small one it is known soon whether it is good: who asks is then told, and not cut.
  wake_.wait(lock, [&] { return (fetch->file != nullptr && fetch->file->size_bytes() > kSmall) || fetch->is_over || is_stopping_; });
  if (fetch->file != nullptr && !fetch->error && !fetch->is_unknown) {
    BlobSource source;
    source.size_bytes = fetch->file->size_bytes();
    source.growing = fetch->file;
    return source;
  }
  if (fetch->error) return *fetch->error;
  if (!fetch->is_over) return Error(Code::unavailable, "the registry stops");
  if (fetch->is_unknown) return std::nullopt;
  lock.unlock();
  return catalog_.storage().open_blob(digest);
}

std::optional<uint64_t> BlobFetches::size_of(const std::string& repository, const ContentDigest& digest) const {
  const std::scoped_lock lock(mutex_);
  const auto at = running_.find(key_of(repository, digest));
  return at == running_.end() || at->second->file == nullptr ? std::nullopt : std::optional(at->second->file->size_bytes());
}

void BlobFetches::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    wake_.wait(lock, [&] { return is_stopping_ || !queue_.empty(); });
    --idle_;
    if (is_stopping_) return;
    const FetchPtr fetch = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    auto brought = bring(*fetch);
    lock.lock();
    // Not if it is whole and only could not be kept.
    if (fetch->file != nullptr && fetch->file->seen().state == http_server::GrowingFile::State::grows) fetch->file->end(false);
    if (!brought) fetch->error = std::move(brought).error();
    fetch->is_over = true;
    running_.erase(key_of(fetch->repository, fetch->digest));
    wake_.notify_all();
  }
}

Result<void> BlobFetches::resume_or_begin(Fetch& fetch) {
  std::string id;
  {
    const std::scoped_lock lock(mutex_);
    if (const auto at = parts_.find(key_of(fetch.repository, fetch.digest)); at != parts_.end()) {
      id = at->second;
      parts_.erase(at);
    }
  }
  if (!id.empty()) {
    auto kept = uploads_.take(fetch.repository, id);
    if (kept && *kept) {
      fetch.upload = std::move(*kept);
      return {};
    }
  }
  fetch.upload = TRY(uploads_.begin(fetch.repository, fetch.digest.algorithm()));
  return {};
}

Result<void> BlobFetches::bring(Fetch& fetch) {
  const bool is_here = TRY(catalog_.has_blob(fetch.repository, fetch.digest));
  if (is_here) return {};
  TRY(resume_or_begin(fetch));
  auto brought = bring_bytes(fetch);
  if (brought && !fetch.is_unknown) return keep(fetch);
  // Good bytes of a connection that broke are not asked for twice. Anything else leaves nothing.
  const bool is_part = !brought && may_pass(brought.error()) && fetch.upload->size_bytes() != 0 && !is_stopping_;
  if (is_part) {
    const std::scoped_lock lock(mutex_);
    if (parts_.size() >= kMaxParts) parts_.clear();  // Their files go with the other uploads that nobody ends.
    parts_[key_of(fetch.repository, fetch.digest)] = fetch.upload->id();
    uploads_.put_back(std::move(fetch.upload));
  } else {
    uploads_.cancel(std::move(fetch.upload));
  }
  return brought;
}

Result<void> BlobFetches::bring_bytes(Fetch& fetch) {
  auto back_off = options_.first_back_off;
  for (int tries = 0;;) {
    const uint64_t before = fetch.upload->size_bytes();
    const auto is_whole = ask_for_rest(fetch);
    const bool has_grown = fetch.upload->size_bytes() > before;
    if (is_whole) return {};
    // A registry that does not answer at all is told of at once.
    const bool is_hopeless = !may_pass(is_whole.error()) || fetch.upload->size_bytes() == 0;
    tries = has_grown ? 1 : tries + 1;
    if (has_grown) back_off = options_.first_back_off;
    if (is_hopeless || tries >= kTries || !pause(back_off)) return is_whole.error();
    back_off *= 2;
  }
}

bool BlobFetches::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [&] { return is_stopping_.load(); });
}

Result<void> BlobFetches::begin_file(Fetch& fetch, uint64_t size_bytes) {
  if (fetch.file == nullptr) {
    os::Fd reader = TRY(fetch.upload->reader());
    auto file = std::make_shared<http_server::GrowingFile>(std::move(reader), size_bytes);
    file->grown(fetch.upload->size_bytes());
    {
      const std::scoped_lock lock(mutex_);
      fetch.file = std::move(file);
    }
    wake_.notify_all();
  }
  if (fetch.file->size_bytes() != size_bytes)
    return Error(Code::corrupt, "the upstream registry says that the blob has {} bytes, and said {}", size_bytes, fetch.file->size_bytes());
  return {};
}

Result<void> BlobFetches::ask_for_rest(Fetch& fetch) {
  const uint64_t have = fetch.upload->size_bytes();
  uint64_t position = 0;  // Of the next byte that comes.
  std::optional<uint64_t> size_bytes;
  WebRequest request;
  request.url = fmt::format("{}/v2/{}/blobs/{}", options_.url, fetch.repository, fetch.digest.string());
  if (have != 0) request.headers.push_back(fmt::format("Range: bytes={}-", have));
  request.on_head = [&](const WebAnswer& head) -> Result<void> {
    const Announced said = TRY(announced(head));
    position = said.offset;
    size_bytes = said.size_bytes;
    if (position > have) return Error(Code::corrupt, "the upstream registry sends another part than the one that it was asked for");
    if (size_bytes.value_or(0) > options_.limit_bytes) return Error(Code::invalid, "a blob may have {} bytes", options_.limit_bytes);
    return size_bytes ? begin_file(fetch, *size_bytes) : Result<void>();
  };
  request.on_body = [&](std::string_view bytes) -> Result<void> {
    // A server that does not know ranges begins anew: what is here already is passed over.
    const uint64_t known = fetch.upload->size_bytes() - std::min(position, fetch.upload->size_bytes());
    position += bytes.size();
    bytes.remove_prefix(std::min<uint64_t>(known, bytes.size()));
    const uint64_t after = fetch.upload->size_bytes() + bytes.size();
    if (after > size_bytes.value_or(options_.limit_bytes)) return Error(Code::invalid, "the blob is longer than it may be");
    TRY(fetch.upload->append(bytes));
    if (fetch.file != nullptr) fetch.file->grown(after);
    return {};
  };
  const WebAnswer answer = TRY(ask_(fetch.repository, request));
  if (answer.status == 404) {
    fetch.is_unknown = true;
    return {};
  }
  // Nothing is left to send: all had come before the connection broke.
  if (answer.status == 416 && have != 0) return {};
  if (answer.status == 200 || answer.status == 206) return {};
  const Code code = answer.status == 401 || answer.status == 403 ? Code::denied : Code::unavailable;
  return Error(code, "the upstream registry answers {} to '{}'", answer.status, http::redact(request.url));
}

Result<void> BlobFetches::keep(Fetch& fetch) {
  const std::string id = fetch.upload->id();
  const uint64_t size_bytes = fetch.upload->size_bytes();
  // Where the size was not announced, whoever waits gets it now.
  if (auto begun = begin_file(fetch, size_bytes); !begun) {
    uploads_.cancel(std::move(fetch.upload));
    return begun;
  }
  auto staged = fetch.upload->finish(fetch.digest);
  uploads_.forget(id);
  if (!staged) return std::move(staged).error();
  fetch.file->end(true);
  const auto together = TRY(catalog_.need());
  TRY(catalog_.storage().put_blob(fetch.digest, std::move(*staged)));
  return catalog_.link_blob(fetch.repository, fetch.digest, size_bytes);
}

}  // namespace kist::registry_server
