#include "python/simple_index.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "http/address.h"
#include "python/inputs_files.h"

namespace kist::python {
namespace {

namespace json = boost::json;

constexpr size_t kMaxFiles = 200000;
constexpr uint64_t kMaxPageBytes = 256u << 20;  // The largest projects' pages have some 20 MB.

// The five of XML and numbers: what index pages escape.
std::string unescape(std::string_view text) {
  constexpr std::pair<std::string_view, char> kEntities[] = {
      {"&amp;", '&'},  {"&lt;", '<'},    {"&gt;", '>'},  {"&quot;", '"'}, {"&apos;", '\''},
      {"&#39;", '\''}, {"&#x27;", '\''}, {"&#34;", '"'}, {"&#60;", '<'},  {"&#62;", '>'}};
  std::string out;
  while (!text.empty()) {
    const auto* entity = std::find_if(std::begin(kEntities), std::end(kEntities),
                                      [&](const auto& e) { return text.starts_with(e.first); });
    if (entity == std::end(kEntities)) {
      out.push_back(text.front());
      text.remove_prefix(1);
      continue;
    }
    out.push_back(entity->second);
    text.remove_prefix(entity->first.size());
  }
  return out;
}

bool is_file_url(std::string_view url) {
  return url.starts_with("https://") || url.starts_with("http://") || url.starts_with("file://");
}

void set_url(std::string_view page_url, std::string_view link, IndexFile& out) {
  const std::string url = resolve_url(page_url, link);
  const size_t fragment = std::min(url.find('#'), url.size());
  const std::string_view hash = std::string_view(url).substr(std::min(fragment + 1, url.size()));
  const size_t equals = hash.find('=');
  if (equals != std::string_view::npos)
    out.hashes[to_lower(hash.substr(0, equals))] = to_lower(hash.substr(equals + 1));
  out.url = http::split_credentials(url.substr(0, fragment)).first;
  if (out.name.empty()) out.name = http::file_name_of_url(out.url);
}

// Just enough of HTML for these pages: <a …> tags and their attributes. No nesting, no scripts.
class HtmlReader {
 public:
  HtmlReader(std::string_view body, std::string_view page_url) : body_(body), page_(page_url) {}

  Result<std::vector<IndexFile>> read() {
    std::vector<IndexFile> out;
    while (next_anchor()) {
      IndexFile file;
      std::string link;
      while (next_attribute()) {
        if (name_ == "href") link = unescape(value_);
        if (name_ == "data-requires-python") file.requires_python = unescape(value_);
        if (name_ == "data-upload-time") file.upload_time = unescape(value_);
        if (name_ == "data-yanked") file.yanked = true;
      }
      // A page of links may be a folder's listing, with folders in it.
      if (link.empty() || std::string_view(link).substr(0, link.find_first_of("?#")).ends_with('/'))
        continue;
      set_url(page_, link, file);
      if (file.name.empty() || !is_file_url(file.url)) continue;
      out.push_back(std::move(file));
      if (out.size() > kMaxFiles)
        return Error(Code::invalid, "more than {} files on '{}'", kMaxFiles, http::redact(page_));
    }
    return out;
  }

 private:
  bool next_anchor() {
    while (true) {
      at_ = body_.find('<', at_);
      if (at_ == std::string_view::npos) return false;
      if (body_.substr(at_, 4) == "<!--") {
        at_ = std::min(body_.find("-->", at_), body_.size());
        continue;
      }
      ++at_;
      const std::string tag = to_lower(body_.substr(at_, 2));
      if (tag.size() == 2 && tag[0] == 'a' && trim(tag.substr(1)).empty()) return ++at_, true;
    }
  }

  void skip_space() {
    while (at_ < body_.size() && trim(body_.substr(at_, 1)).empty()) ++at_;
  }

  bool next_attribute() {
    skip_space();
    if (at_ >= body_.size() || body_[at_] == '>') return false;
    const size_t end = std::min(body_.find_first_of("= \t\r\n>", at_ + 1), body_.size());
    name_ = to_lower(body_.substr(at_, end - at_));
    value_ = {};
    at_ = end;
    skip_space();
    if (at_ >= body_.size() || body_[at_] != '=') return true;
    ++at_;
    skip_space();
    const bool quoted = at_ < body_.size() && (body_[at_] == '"' || body_[at_] == '\'');
    const size_t start = quoted ? at_ + 1 : at_;
    const size_t stop = quoted ? body_.find(body_[at_], start)
                               : body_.find_first_of(" \t\r\n>", std::min(start, body_.size()));
    value_ = body_.substr(std::min(start, body_.size()), std::min(stop, body_.size()) - start);
    at_ = std::min(stop, body_.size());
    if (quoted && at_ < body_.size()) ++at_;
    return true;
  }

  std::string_view body_, page_;
  size_t at_ = 0;
  std::string name_;
  std::string_view value_;
};

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  const json::string* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

IndexFile file_of(const json::object& object, std::string_view page_url) {
  IndexFile out;
  out.name = text_of(object, "filename");
  set_url(page_url, text_of(object, "url"), out);
  if (const json::value* hashes = object.if_contains("hashes"); hashes && hashes->is_object())
    for (const auto& pair : hashes->get_object())
      if (const json::string* hex = pair.value().if_string())
        out.hashes[to_lower(pair.key())] = to_lower({hex->data(), hex->size()});
  if (const json::value* size = object.if_contains("size")) {
    if (size->is_int64() && size->get_int64() >= 0)
      out.size_bytes = static_cast<uint64_t>(size->get_int64());
  }
  out.requires_python = text_of(object, "requires-python");
  out.upload_time = text_of(object, "upload-time");
  const json::value* yanked = object.if_contains("yanked");
  out.yanked =
      yanked != nullptr && (yanked->is_string() || (yanked->is_bool() && yanked->get_bool()));
  return out;
}

Result<std::vector<IndexFile>> read_json(std::string_view body, std::string_view page_url) {
  boost::system::error_code failed;
  const json::value root = json::parse({body.data(), body.size()}, failed);
  const json::value* files =
      !failed && root.is_object() ? root.get_object().if_contains("files") : nullptr;
  if (files == nullptr || !files->is_array()) {
    return Error(Code::invalid, "'{}' is no page of a package index (PEP 691): {}",
                 http::redact(page_url), failed ? failed.message() : "it has no 'files'");
  }
  std::vector<IndexFile> out;
  for (const json::value& entry : files->get_array()) {
    if (!entry.is_object()) continue;
    IndexFile file = file_of(entry.get_object(), page_url);
    if (file.name.empty() || !is_file_url(file.url)) continue;
    out.push_back(std::move(file));
    if (out.size() > kMaxFiles)
      return Error(Code::invalid, "more than {} files on '{}'", kMaxFiles, http::redact(page_url));
  }
  return out;
}

}  // namespace

LockedFile IndexFile::locked() const {
  LockedFile out;
  out.name = name;
  out.url = url;
  out.size_bytes = size_bytes;
  out.hashes = hashes;
  return out;
}

std::string resolve_url(std::string_view page_url, std::string_view link) {
  link = trim(link);
  const size_t colon = link.find(':');
  const size_t slash = link.find_first_of("/?#");
  if (colon != std::string_view::npos && colon < slash) return std::string(link);
  const size_t scheme = page_url.find("://");
  if (scheme == std::string_view::npos) return std::string(link);
  if (link.starts_with("//")) return fmt::format("{}:{}", page_url.substr(0, scheme), link);
  std::string_view page = page_url.substr(0, page_url.find_first_of("?#"));
  const size_t path = std::min(page.find('/', scheme + 3), page.size());
  const std::string_view host = page.substr(0, path);
  const size_t tail = std::min(link.find_first_of("?#"), link.size());
  const std::string_view suffix = link.substr(tail);
  if (tail == 0) return fmt::format("{}{}", page, suffix);
  const std::string_view folder =
      page.substr(path, page.rfind('/') + 1 - std::min(path, page.rfind('/') + 1));
  const std::string full = link.starts_with('/')
                               ? normal_path(link.substr(0, tail))
                               : normal_path(fmt::format("/{}/{}", folder, link.substr(0, tail)));
  return fmt::format("{}{}{}", host, full, suffix);
}

Result<std::vector<IndexFile>> parse_index_page(std::string_view body, std::string_view page_url) {
  const std::string_view start = trim(body.substr(0, 1024));
  if (start.starts_with('{')) return read_json(body, page_url);
  return HtmlReader(body, page_url).read();
}

Result<std::vector<IndexFile>> fetch_index_page(http::Client& client, std::string_view index_url,
                                                std::string_view project) {
  std::string url(index_url);
  while (url.ends_with('/')) url.pop_back();
  url += fmt::format("/{}/", normalize_name(project));
  http::GetOptions options;
  options.limit_bytes = kMaxPageBytes;
  // JSON where there is some: it knows sizes.
  options.headers = {
      "Accept: application/vnd.pypi.simple.v1+json, "
      "application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"};
  const http::Response response =
      TRY(client.get(url, options), "asking the package index for {}", printable(project));
  return parse_index_page(response.body, url);
}

}  // namespace kist::python
