#include "http/file_exchange.h"

#include <algorithm>

#include "base/text.h"

namespace kist::http {

FileExchange::FileExchange(const Config& config, const std::string& url, Place place)
    : Exchange(config, url), place_(std::move(place)), asked_from_(place_.part.size_bytes()) {}

Result<void> FileExchange::start() {
  // The digest is that of the file as it lies on the server.
  add_header("Accept-Encoding: identity");
  if (asked_from_ > 0 && !place_.part.validator().empty())
    add_header("If-Range: " + place_.part.validator());
  TRY(prepare());
  // Many connections of HTTP/1.1: one of HTTP/2 shares a single window among all files.
  curl_easy_setopt(easy(), CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  // Not CURLOPT_RESUME_FROM, which makes an error of a server that ignores ranges.
  if (asked_from_ > 0)
    curl_easy_setopt(easy(), CURLOPT_RANGE, fmt::format("{}-", asked_from_).c_str());
  place_.loop.submit(shared_from_this());
  return {};
}

Failure FileExchange::wrong(Code code, std::string what) const {
  return {Error(code, "get '{}': {}", redact(url()), what)};
}

// Judges the head, once the body (or the end) is there.
std::optional<Failure> FileExchange::begin_body() {
  if (begun_) return std::nullopt;
  begun_ = true;
  uint64_t offset = 0;
  if (head().status == 206) {
    const auto range = parse_content_range(head().content_range);
    if (asked_from_ == 0 || !range || range->first != asked_from_) {
      const std::string asked =
          asked_from_ == 0 ? "the whole" : fmt::format("'bytes {}-'", asked_from_);
      Failure failure =
          wrong(Code::corrupt, fmt::format("the server answered with the range '{}', asked for {}",
                                           printable(head().content_range), asked));
      failure.may_pass = asked_from_ > 0;
      return failure;
    }
    offset = asked_from_;
  }
  received_end_ = offset;
  if (!head().content_length) return std::nullopt;
  const uint64_t announced = offset + std::min(*head().content_length, UINT64_MAX - offset);
  if (place_.file.size_bytes && announced != *place_.file.size_bytes) {
    return wrong(Code::corrupt, fmt::format("the server announces {} bytes, want {}", announced,
                                            *place_.file.size_bytes));
  }
  if (!place_.file.size_bytes && announced > place_.file.limit_bytes) {
    return wrong(Code::invalid,
                 fmt::format("the server announces {}, the limit is {}", human_bytes(announced),
                             human_bytes(place_.file.limit_bytes)));
  }
  return std::nullopt;
}

Exchange::Take FileExchange::on_body(std::string_view bytes) {
  if (is_error_status()) return skip_error_body(bytes);
  if (auto failure = begin_body()) {
    refuse(std::move(*failure));
    return Take::abort;
  }
  const uint64_t most = place_.file.size_bytes.value_or(place_.file.limit_bytes);
  if (received_end_ + bytes.size() > most) {
    refuse(place_.file.size_bytes
               ? wrong(Code::corrupt,
                       fmt::format("the server sends more than the {} bytes wanted", most))
               : wrong(Code::invalid, fmt::format("the server sends more than the limit of {}",
                                                  human_bytes(most))));
    return Take::abort;
  }
  const std::lock_guard lock(mutex_);
  if (local_error_) return Take::abort;
  if (!pending_.empty() && pending_.size() + bytes.size() > kBufferBytes) {
    paused_ = true;
    return Take::pause;
  }
  pending_ += bytes;
  received_end_ += bytes.size();
  schedule_drain();
  return Take::taken;
}

void FileExchange::on_done() {
  if (code() == CURLE_OK && !is_error_status()) {
    if (auto failure = begin_body()) refuse(std::move(*failure));
  }
  const std::lock_guard lock(mutex_);
  done_ = true;
  schedule_drain();
}

void FileExchange::schedule_drain() {
  if (draining_) return;
  draining_ = true;
  place_.pool.post([self = shared_from_this()] { self->drain(); });
}

void FileExchange::drain() {
  while (true) {
    bool failed = false;
    {
      const std::lock_guard lock(mutex_);
      failed = local_error_.has_value();
      taken_.clear();
      taken_.swap(pending_);
      if (taken_.empty() && !done_) {
        draining_ = false;
        return;
      }
      if (paused_) {
        paused_ = false;
        place_.loop.resume(this);
      }
    }
    if (taken_.empty()) break;
    if (failed) continue;
    if (auto stored = store(taken_); !stored) {
      const std::lock_guard lock(mutex_);
      local_error_ = std::move(stored).error();
    }
  }
  place_.on_end(finish());
}

Result<void> FileExchange::store(std::string_view bytes) {
  TRY(prepare_part());
  TRY(place_.part.append(bytes));
  place_.on_progress(place_.part.size_bytes());
  return {};
}

// Before the first byte is stored. The head does not change any more, so it may be read from here.
Result<void> FileExchange::prepare_part() {
  if (part_prepared_) return {};
  part_prepared_ = true;
  if (head().status == 206) return {};
  if (place_.part.size_bytes() > 0) TRY(place_.part.restart());
  // RFC 9110, 13.1.5: a weak tag must not stand in If-Range.
  const bool is_strong = !head().etag.empty() && !head().etag.starts_with("W/");
  return place_.part.set_validator(is_strong ? head().etag : head().last_modified);
}

std::optional<Failure> FileExchange::finish() {
  if (local_error_) return Failure{*local_error_, false, false, {}, true};
  if (auto failed = failure()) {
    // A range that does not fit will not fit better next time.
    const bool bad_range = head().status == 206 && failed->may_pass && code() == CURLE_WRITE_ERROR;
    if (bad_range) {
      if (auto done = place_.part.restart(); !done)
        return Failure{done.error(), false, false, {}, true};
    }
    return failed;
  }
  if (head().status == 416) return finish_416();
  if (auto prepared = prepare_part(); !prepared)
    return Failure{prepared.error(), false, false, {}, true};
  const bool was_resumed = head().status == 206;
  if (auto finished = place_.part.finish(); !finished) {
    const bool is_corrupt = finished.error().code() == Code::corrupt;
    if (!is_corrupt) return Failure{std::move(finished).error(), false, false, {}, true};
    // What was kept may be what is wrong: try once more from the start.
    Error error = std::move(finished).error().context(fmt::format("get '{}'", redact(url())));
    return Failure{std::move(error), was_resumed, false, {}, false};
  }
  return std::nullopt;
}

// "Nothing after what you have": either we have it all, or our part belongs to something else.
std::optional<Failure> FileExchange::finish_416() {
  const auto range = parse_content_range(head().content_range);
  if (range && range->total == place_.part.size_bytes() && place_.part.finish())
    return std::nullopt;
  place_.part.discard();
  Failure failure =
      wrong(Code::corrupt, "the server has no more than what was kept, which is wrong");
  failure.may_pass = true;
  return failure;
}

}  // namespace kist::http
