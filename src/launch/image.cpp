#include "launch/image.h"

#include "base/text.h"
#include "launch/lease.h"
#include "launch/line_file.h"

namespace kist::launch {
namespace {

constexpr std::string_view kHeader = "kist-image 1 " KIST_VERSION;
constexpr std::string_view kSha256 = "sha256:";
constexpr std::string_view kReady = ".ready";
constexpr size_t kHexDigits = 64;
constexpr uint64_t kMaxReadyBytes = 16 << 20;

bool is_hex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_digest(std::string_view text) {
  return text.starts_with(kSha256) && text.size() == kSha256.size() + kHexDigits &&
         is_hex(text.substr(kSha256.size()));
}

template <class Image>
struct TextField {
  std::string_view key;
  std::string Image::*field;
};
constexpr TextField<ReadyImage> kTexts[] = {
    {"name", &ReadyImage::name},
    {"id", &ReadyImage::id},
    {"digest", &ReadyImage::digest},
    {"os", &ReadyImage::os},
    {"architecture", &ReadyImage::architecture},
    {"tree", &ReadyImage::tree},
    {"lease", &ReadyImage::root_lease},
    {"erofs", &ReadyImage::erofs_image},
    {"objects", &ReadyImage::objects},
    {"user", &ReadyImage::user},
    {"working-dir", &ReadyImage::working_dir},
    {"stop-signal", &ReadyImage::stop_signal},
};

struct ListField {
  std::string_view key;
  std::vector<std::string> ReadyImage::*field;
};
constexpr ListField kLists[] = {
    {"lower", &ReadyImage::lowers},
    {"env", &ReadyImage::env},
    {"entrypoint", &ReadyImage::entrypoint},
    {"cmd", &ReadyImage::cmd},
    {"port", &ReadyImage::exposed_ports},
    {"volume", &ReadyImage::volumes},
    {"shell", &ReadyImage::shell},
};

struct NumberField {
  std::string_view key;
  int64_t Healthcheck::*field;
};
constexpr NumberField kNumbers[] = {
    {"health-interval", &Healthcheck::interval_ns},
    {"health-timeout", &Healthcheck::timeout_ns},
    {"health-start-period", &Healthcheck::start_period_ns},
    {"health-start-interval", &Healthcheck::start_interval_ns},
    {"health-retries", &Healthcheck::retries},
};

// One "key value" line. False when the value does not fit the key.
bool read_line(std::string_view key, std::string_view raw, ReadyImage& image) {
  // Two values: a label's name may hold any byte, "=" too.
  if (key == "label") {
    const size_t space = raw.find(' ');
    if (space == std::string_view::npos) return false;
    auto name = percent_decode(raw.substr(0, space));
    auto text = percent_decode(raw.substr(space + 1));
    if (!name || !text) return false;
    image.labels.emplace_back(std::move(*name), std::move(*text));
    return true;
  }
  auto value = percent_decode(raw);
  if (!value) return false;
  for (const auto& text : kTexts)
    if (key == text.key) return image.*text.field = std::move(*value), true;
  for (const ListField& list : kLists)
    if (key == list.key) return (image.*list.field).push_back(std::move(*value)), true;
  for (const NumberField& number : kNumbers)
    if (key == number.key) return read_number(*value, image.healthcheck.*number.field);
  if (key == "health") return image.healthcheck.test.push_back(std::move(*value)), true;
  return false;
}

std::string images_folder(std::string_view kist_home) { return os::join(kist_home, "images"); }

std::optional<ReadyImage> load(const std::string& path) {
  const auto text = os::read_file(path, kMaxReadyBytes);
  if (!text) return std::nullopt;
  auto image = decode_image(*text);
  if (!image) return std::nullopt;
  return std::move(*image);
}

std::optional<ReadyImage> load_name(std::string_view kist_home, const std::string& name) {
  auto image = load(image_ready_path(kist_home, name));
  if (!image || image->name != name) return std::nullopt;
  return image;
}

std::optional<ReadyImage> load_digest(std::string_view kist_home, std::string_view digest) {
  const std::string_view hex = digest.substr(kSha256.size());
  if (auto image = load(image_id_path(kist_home, hex))) return image;
  return load(image_digest_path(kist_home, hex));
}

std::optional<ReadyImage> load_prefix(std::string_view kist_home, std::string_view prefix) {
  if (!is_hex(prefix) || prefix.size() > kHexDigits) return std::nullopt;
  const auto files = os::list_folder(os::join(images_folder(kist_home), "ids"));
  if (!files) return std::nullopt;
  std::string found;
  for (const std::string& file : *files) {
    if (!file.starts_with(prefix) || !file.ends_with(kReady)) continue;
    if (!found.empty()) return std::nullopt;
    found = file.substr(0, file.size() - kReady.size());
  }
  return found.empty() ? std::nullopt : load(image_id_path(kist_home, found));
}

}  // namespace

std::string image_name(std::string_view text) {
  const size_t slash = text.rfind('/');
  const size_t colon = text.find(':', slash == std::string_view::npos ? 0 : slash);
  return colon == std::string_view::npos ? std::string(text) + ":latest" : std::string(text);
}

std::string image_ready_path(std::string_view kist_home, std::string_view name) {
  return os::join(images_folder(kist_home), text_key(name) + std::string(kReady));
}

std::string image_id_path(std::string_view kist_home, std::string_view id_hex) {
  return fmt::format("{}/ids/{}{}", images_folder(kist_home), id_hex, kReady);
}

std::string image_digest_path(std::string_view kist_home, std::string_view digest_hex) {
  return fmt::format("{}/digests/{}{}", images_folder(kist_home), digest_hex, kReady);
}

std::string encode(const ReadyImage& image) {
  std::string out(kHeader);
  out += '\n';
  for (const auto& text : kTexts)
    if (!(image.*text.field).empty()) put_line(out, text.key, image.*text.field);
  for (const ListField& list : kLists)
    for (const std::string& value : image.*list.field) put_line(out, list.key, value);
  for (const auto& [name, value] : image.labels)
    out += fmt::format("label {} {}\n", percent_encode(name), percent_encode(value));
  for (const std::string& word : image.healthcheck.test) put_line(out, "health", word);
  for (const NumberField& number : kNumbers)
    if (image.healthcheck.*number.field != 0)
      out += fmt::format("{} {}\n", number.key, image.healthcheck.*number.field);
  out += "end\n";  // A file that was cut off is not taken for a short one.
  return out;
}

Result<ReadyImage> decode_image(std::string_view text) {
  const auto all = lines(text);
  if (all.size() < 2 || all.front() != kHeader || all.back() != "end")
    return Error(Code::corrupt, "not a whole ready image file of this version");
  ReadyImage image;
  for (size_t i = 1; i + 1 < all.size(); ++i) {
    const size_t space = all[i].find(' ');
    const std::string_view key = all[i].substr(0, space);
    const std::string_view value =
        space == std::string_view::npos ? std::string_view() : all[i].substr(space + 1);
    if (!read_line(key, value, image))
      return Error(Code::corrupt, "ready image file, line {}: bad '{}'", i + 1, printable(key));
  }
  return image;
}

std::optional<ReadyImage> find_image(std::string_view kist_home, std::string_view text) {
  if (text.empty()) return std::nullopt;
  if (is_digest(text)) return load_digest(kist_home, text);
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    const std::string_view digest = text.substr(at + 1);
    return is_digest(digest) ? load_digest(kist_home, digest) : std::nullopt;
  }
  const std::string name = image_name(text);
  if (auto image = load_name(kist_home, name)) return image;
  if (text.find('/') == std::string_view::npos)
    if (auto image = load_name(kist_home, "localhost/" + name)) return image;
  if (text.starts_with(kSha256)) text.remove_prefix(kSha256.size());
  return load_prefix(kist_home, text);
}

os::Fd hold_lease(const ReadyImage& image) { return hold_lease(image.root_lease); }

}  // namespace kist::launch
