#include "registry_server/s3_storage.h"

#include <curl/curl.h>

#include <algorithm>
#include <ctime>
#include <thread>

#include "base/text.h"
#include "http_server/request_text.h"
#include "registry_server/folder_storage.h"

namespace kist::registry_server {
namespace {

constexpr uint64_t kMinPart = 5ull << 20;    // What S3 takes, but for the last.
constexpr uint64_t kMaxPart = 2560ull << 20; // Two go at once, and S3 takes 5 GiB so.
constexpr uint64_t kMaxParts = 10'000;
constexpr int kTries = 3;  // Of a part.
constexpr std::chrono::milliseconds kBackOff{300};
constexpr size_t kMaxPages = 1'000'000;

int64_t time_of(const std::string& http_date) {
  const time_t when = ::curl_getdate(http_date.c_str(), nullptr);
  return when < 0 ? 0 : when;
}

// "2026-01-02T03:04:05.000Z"
int64_t time_of_iso(const std::string& text) {
  std::tm parts = {};
  return ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr ? 0 : ::timegm(&parts);
}

std::string encode_path(std::string_view path) {
  std::string out;
  for (const std::string_view part : split(path, '/')) {
    if (!out.empty()) out += '/';
    out += http_server::encode_percent(part);
  }
  return out;
}

}  // namespace

std::vector<std::string> xml_texts(std::string_view xml, std::string_view element) {
  std::vector<std::string> found;
  const std::string open = fmt::format("<{}>", element), close = fmt::format("</{}>", element);
  for (size_t at = xml.find(open); at != std::string_view::npos; at = xml.find(open, at)) {
    at += open.size();
    const size_t end = xml.find(close, at);
    if (end == std::string_view::npos) break;
    std::string text(xml.substr(at, end - at));
    constexpr std::pair<std::string_view, std::string_view> kEntities[] = {{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#34;", "\""},
                                                                           {"&apos;", "'"}, {"&#39;", "'"}, {"&amp;", "&"}};
    for (const auto& [from, to] : kEntities)
      for (size_t i = text.find(from); i != std::string::npos; i = text.find(from, i + to.size())) text.replace(i, from.size(), to);
    found.push_back(std::move(text));
    at = end;
  }
  return found;
}

Result<std::unique_ptr<S3Storage>> S3Storage::open(S3Config config, const http::Config& network) {
  if (config.bucket.empty() || config.access_key.empty() || config.secret_key.empty())
    return Error(Code::invalid, "[s3] needs 'endpoint', 'bucket', 'access_key' and 'secret_key'");
  if (config.part_bytes < kMinPart || config.part_bytes > kMaxPart)
    return Error(Code::invalid, "[s3] 'part' is {}, want 5 MiB to 2.5 GiB", human_bytes(config.part_bytes));
  while (config.endpoint.ends_with('/')) config.endpoint.pop_back();
  if (!config.prefix.empty() && !config.prefix.ends_with('/')) config.prefix += '/';
  auto storage = std::unique_ptr<S3Storage>(new S3Storage(std::move(config), network));
  TRY(storage->list("repositories/"), "bucket '{}' at '{}'", storage->config_.bucket, storage->config_.endpoint);
  return storage;
}

WebRequest S3Storage::request(std::string method, const std::string& key, std::string_view query) const {
  WebRequest request;
  request.method = std::move(method);
  request.url = fmt::format("{}/{}{}{}{}{}", config_.endpoint, config_.bucket, key.empty() ? "" : "/",
                            key.empty() ? "" : encode_path(config_.prefix + key), query.empty() ? "" : "?", query);
  request.signing = fmt::format("aws:amz:{}:s3", config_.region);
  request.user_and_password = http::Secret(config_.access_key + ":" + config_.secret_key.reveal());
  return request;
}

Result<WebAnswer> S3Storage::ask(WebRequest request, std::initializer_list<int> good) {
  // Some servers insist on the hash of the body, also where there is none.
  const bool has_hash = std::any_of(request.headers.begin(), request.headers.end(),
                                    [](const std::string& line) { return line.starts_with("x-amz-content-sha256:"); });
  if (!has_hash) request.headers.push_back("x-amz-content-sha256: " + Hasher::of(Algorithm::sha256, "").hex());
  WebAnswer answer = TRY(web_.ask(request));
  if (std::find(good.begin(), good.end(), answer.status) != good.end()) return answer;
  const auto codes = xml_texts(answer.body, "Code");
  const Code code = answer.status == 403 ? Code::denied : answer.status == 404 ? Code::not_found : Code::unavailable;
  return Error(code, "object storage answers {} {} to {} '{}'", answer.status, codes.empty() ? "" : printable(codes.front()),
               request.method, http::redact(request.url));
}

Result<std::optional<std::string>> S3Storage::get(const std::string& key) {
  WebAnswer answer = TRY(ask(request("GET", key), {200, 404}));
  if (answer.status == 404) return std::nullopt;
  return std::move(answer.body);
}

Result<std::optional<WebAnswer>> S3Storage::head(const std::string& key) {
  WebAnswer answer = TRY(ask(request("HEAD", key), {200, 404}));
  if (answer.status == 404) return std::nullopt;
  return answer;
}

Result<bool> S3Storage::has(const std::string& key) {
  const auto found = TRY(head(key));
  return found.has_value();
}

Result<std::optional<int64_t>> S3Storage::modified(const std::string& key) {
  const auto found = TRY(head(key));
  if (!found) return std::nullopt;
  return time_of(found->header("last-modified"));
}

Result<void> S3Storage::put(const std::string& key, std::string_view text, bool) {
  WebRequest put = request("PUT", key);
  put.text = std::string(text);
  put.headers.push_back("x-amz-content-sha256: " + Hasher::of(Algorithm::sha256, text).hex());
  TRY(ask(put, {200}));
  return {};
}

// An object's time is that of its last write.
Result<void> S3Storage::touch(const std::string& key) {
  const auto text = TRY(get(key));
  if (text) TRY(put(key, *text, false));
  return {};
}

Result<bool> S3Storage::remove(const std::string& key) {
  const bool is_there = TRY(has(key));
  if (!is_there) return false;
  TRY(ask(request("DELETE", key), {200, 204, 404}));
  return true;
}

Result<void> S3Storage::each_page(const std::string& query, const std::function<Result<void>(const std::string&)>& take) {
  std::string token;
  for (size_t page = 0; page < kMaxPages; ++page) {
    // Sorted by key, as signatures want it.
    const std::string with_token = token.empty() ? query : fmt::format("continuation-token={}&{}", http_server::encode_percent(token), query);
    const WebAnswer answer = TRY(ask(request("GET", "", with_token), {200}));
    TRY(take(answer.body));
    const auto truncated = xml_texts(answer.body, "IsTruncated");
    const auto next = xml_texts(answer.body, "NextContinuationToken");
    if (truncated.empty() || truncated.front() != "true" || next.empty() || next.front() == token) return {};
    token = next.front();
  }
  return Error(Code::corrupt, "object storage lists without end");
}

Result<Listing> S3Storage::list(const std::string& prefix) {
  Listing listing;
  const std::string whole = config_.prefix + prefix;
  TRY(each_page(fmt::format("delimiter=%2F&list-type=2&prefix={}", http_server::encode_percent(whole)), [&](const std::string& xml) -> Result<void> {
    for (const std::string& common : xml_texts(xml, "CommonPrefixes"))
      for (const std::string& folder : xml_texts(common, "Prefix"))
        if (folder.size() > whole.size() + 1) listing.folders.push_back(folder.substr(whole.size(), folder.size() - whole.size() - 1));
    for (const std::string& key : xml_texts(xml, "Key"))
      if (key.size() > whole.size() && !key.ends_with('/')) listing.files.push_back(key.substr(whole.size()));
    return {};
  }));
  std::sort(listing.folders.begin(), listing.folders.end());
  std::sort(listing.files.begin(), listing.files.end());
  return listing;
}

Result<std::optional<BlobSource>> S3Storage::open_blob(const ContentDigest& digest) {
  const std::string key = blob_key(digest);
  const auto found = TRY(head(key));
  if (!found) return std::nullopt;
  const auto size = parse_number(found->header("content-length"));
  if (!size) return Error(Code::corrupt, "object storage says no size of blob {}", digest.string());
  BlobSource source;
  source.size_bytes = *size;
  source.modified_s = time_of(found->header("last-modified"));
  source.copy = [this, key](uint64_t offset, uint64_t size_bytes, const BlobSource::Write& write) -> Result<void> {
    if (size_bytes == 0) return {};
    WebRequest get = request("GET", key);
    get.headers.push_back(fmt::format("Range: bytes={}-{}", offset, offset + size_bytes - 1));
    // Not every server knows ranges, and what it sends then begins at the beginning.
    uint64_t unwanted = 0;
    get.on_head = [&](const WebAnswer& head) -> Result<void> {
      if (head.status == 200) unwanted = offset;
      return {};
    };
    uint64_t left = size_bytes;
    get.on_body = [&](std::string_view bytes) -> Result<void> {
      const uint64_t passed = std::min<uint64_t>(unwanted, bytes.size());
      unwanted -= passed;
      bytes = bytes.substr(passed, left);
      left -= bytes.size();
      return bytes.empty() ? Result<void>() : write(bytes);
    };
    TRY(ask(get, {206, 200}));
    return {};
  };
  return source;
}

Result<bool> S3Storage::touch_blob(const ContentDigest& digest) {
  const std::string key = blob_key(digest);
  const bool is_there = TRY(has(key));
  if (!is_there) return false;
  WebRequest copy = request("PUT", key);
  copy.headers.push_back(fmt::format("x-amz-copy-source: /{}/{}", config_.bucket, encode_path(config_.prefix + key)));
  copy.headers.emplace_back("x-amz-metadata-directive: REPLACE");
  TRY(ask(copy, {200}));
  return true;
}

Result<void> S3Storage::put_blob(const ContentDigest& digest, StagedFile file) {
  const std::string key = blob_key(digest);
  const bool is_there = TRY(has(key));
  if (is_there) {
    TRY(touch_blob(digest));
    return {};
  }
  // What fails then is sent again, and need not be all of it.
  if (file.size_bytes() > 2 * config_.part_bytes) return put_in_parts(key, file);
  if (file.size_bytes() == 0) return put(key, "", false);
  WebRequest put = request("PUT", key);
  put.file = &file.file();
  put.size_bytes = file.size_bytes();
  put.headers.push_back("x-amz-content-sha256: " + (digest.algorithm() == Algorithm::sha256 ? digest.hex() : std::string("UNSIGNED-PAYLOAD")));
  TRY(ask(put, {200}));
  return {};
}

// An object appears whole when its parts are put together, and not at all before.
Result<void> S3Storage::put_in_parts(const std::string& key, const StagedFile& file) {
  const WebAnswer begun = TRY(ask(request("POST", key, "uploads="), {200}));
  const auto ids = xml_texts(begun.body, "UploadId");
  if (ids.empty()) return Error(Code::corrupt, "object storage gives no id for an upload in parts");
  const std::string id = http_server::encode_percent(ids.front());
  auto done = put_parts(key, id, file);
  if (done) return {};
  // Parts that nobody puts together are paid for. One that is still being received outlives the end of its upload.
  std::this_thread::sleep_for(kBackOff);
  if (auto ended = end_upload(key, id); !ended)
    return std::move(done).error().context("parts are left in the bucket until the next collection: " + ended.error().message());
  return done;
}

Result<void> S3Storage::put_parts(const std::string& key, const std::string& id, const StagedFile& file) {
  const uint64_t part_bytes = std::max(config_.part_bytes, file.size_bytes() / kMaxParts + 1);
  std::string list = "<CompleteMultipartUpload>";
  uint64_t number = 0;
  for (uint64_t offset = 0; offset < file.size_bytes(); offset += part_bytes) {
    WebRequest part = request("PUT", key, fmt::format("partNumber={}&uploadId={}", ++number, id));
    part.file = &file.file();
    part.offset = offset;
    part.size_bytes = std::min(part_bytes, file.size_bytes() - offset);
    part.headers.emplace_back("x-amz-content-sha256: UNSIGNED-PAYLOAD");
    auto answer = ask(part, {200});
    for (int again = 1; !answer && answer.error().code() == Code::unavailable && again < kTries; ++again) {
      std::this_thread::sleep_for(kBackOff * again);
      answer = ask(part, {200});
    }
    if (!answer) return answer.error();
    list += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", number, answer->header("etag"));
  }
  WebRequest complete = request("POST", key, "uploadId=" + id);
  complete.text = list + "</CompleteMultipartUpload>";
  complete.headers.push_back("x-amz-content-sha256: " + Hasher::of(Algorithm::sha256, complete.text).hex());
  const WebAnswer completed = TRY(ask(complete, {200}));
  // It may say 200 and fail afterwards.
  if (!xml_texts(completed.body, "Code").empty()) return Error(Code::unavailable, "object storage could not put the parts together");
  return {};
}

Result<void> S3Storage::end_upload(const std::string& key, const std::string& id) {
  TRY(ask(request("DELETE", key, "uploadId=" + id), {200, 204, 404}));
  return {};
}

// Of processes that died in the middle. What a page does not show is seen by the next collection.
Result<size_t> S3Storage::end_abandoned(int64_t before_s) {
  const std::string query = fmt::format("prefix={}&uploads=", http_server::encode_percent(config_.prefix + "blobs/"));
  const WebAnswer answer = TRY(ask(request("GET", "", query), {200}));
  size_t ended = 0;
  for (const std::string& one : xml_texts(answer.body, "Upload")) {
    const auto keys = xml_texts(one, "Key"), ids = xml_texts(one, "UploadId"), times = xml_texts(one, "Initiated");
    if (keys.empty() || ids.empty() || times.empty() || !keys.front().starts_with(config_.prefix)) continue;
    if (time_of_iso(times.front()) > before_s) continue;
    TRY(end_upload(keys.front().substr(config_.prefix.size()), http_server::encode_percent(ids.front())));
    ++ended;
  }
  return ended;
}

Result<bool> S3Storage::remove_blob(const ContentDigest& digest) { return remove(blob_key(digest)); }

Result<std::vector<StoredBlob>> S3Storage::blobs() {
  std::vector<StoredBlob> found;
  TRY(each_page(fmt::format("list-type=2&prefix={}", http_server::encode_percent(config_.prefix + "blobs/")), [&](const std::string& xml) -> Result<void> {
    for (const std::string& one : xml_texts(xml, "Contents")) {
      const auto keys = xml_texts(one, "Key"), sizes = xml_texts(one, "Size"), times = xml_texts(one, "LastModified");
      if (keys.empty() || sizes.empty() || times.empty()) continue;
      const auto parts = split(keys.front(), '/');
      if (parts.size() < 3) continue;
      auto digest = ContentDigest::parse(parts[parts.size() - 3], parts.back());
      if (digest) found.push_back({std::move(*digest), parse_number(sizes.front()).value_or(0), time_of_iso(times.front())});
    }
    return {};
  }));
  return found;
}

}  // namespace kist::registry_server
