#include "debian/release.h"

#include <array>
#include <ctime>

#include "base/text.h"
#include "debian/control.h"

namespace kist::debian {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr int64_t kFutureSlackS = 3600;  // Clocks of virtual machines drift; attacks need days.
constexpr size_t kMaxFiles = 100'000;

std::optional<int> number_in(std::string_view text, int low, int high) {
  const auto number = parse_number(text);
  if (!number || *number < static_cast<uint64_t>(low) || *number > static_cast<uint64_t>(high))
    return std::nullopt;
  return static_cast<int>(*number);
}

// " HASH SIZE NAME" lines.
Result<void> parse_files(std::string_view value, Release& release) {
  for (const std::string_view line : lines(value)) {
    std::vector<std::string_view> words;
    for (const std::string_view word : split(line, ' '))
      if (!word.empty()) words.push_back(word);
    if (words.empty()) continue;
    const auto size = words.size() == 3 ? parse_number(words[1]) : std::nullopt;
    if (!size)
      return Error(Code::corrupt, "'{}' under SHA256 is not 'hash size name'", printable(trim(line)));
    const oci::Digest digest = TRY(oci::Digest::parse_hex(words[0]), "SHA256 of '{}'",
                                   printable(words[2]));
    if (release.files.size() == kMaxFiles)
      return Error(Code::corrupt, "more than {} files under SHA256", kMaxFiles);
    release.files.insert_or_assign(std::string(words[2]), IndexFile{digest, *size});
  }
  return {};
}

std::string day_of(int64_t time_s) {
  const std::time_t time = time_s;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min);
}

}  // namespace

Result<int64_t> parse_release_date(std::string_view text) {
  const Error bad(Code::corrupt, "date '{}' is not like 'Sat, 11 Jul 2026 10:16:37 UTC'",
                  printable(text));
  std::vector<std::string_view> words;
  for (const std::string_view word : split(text, ' '))
    if (!word.empty()) words.push_back(word);
  if (words.size() != 6 || (words[5] != "UTC" && words[5] != "GMT" && words[5] != "+0000"))
    return bad;
  const std::vector<std::string_view> time = split(words[4], ':');
  const auto day = number_in(words[1], 1, 31);
  const auto year = number_in(words[3], 1970, 9999);
  int month = 0;
  while (month < 12 && kMonths[static_cast<size_t>(month)] != words[2]) ++month;
  if (time.size() != 3 || !day || !year || month == 12) return bad;
  const auto hour = number_in(time[0], 0, 23);
  const auto minute = number_in(time[1], 0, 59);
  const auto second = number_in(time[2], 0, 60);
  if (!hour || !minute || !second) return bad;
  std::tm parts{};
  parts.tm_year = *year - 1900;
  parts.tm_mon = month;
  parts.tm_mday = *day;
  parts.tm_hour = *hour;
  parts.tm_min = *minute;
  parts.tm_sec = *second;
  return static_cast<int64_t>(::timegm(&parts));
}

Result<Release> parse_release(std::string_view text) {
  auto paragraph = parse_paragraph(text);
  if (!paragraph)
    return Error(Code::corrupt, "not a Release file: {}", paragraph.error().message());
  Release release;
  release.origin = paragraph->get("Origin");
  release.label = paragraph->get("Label");
  release.suite = paragraph->get("Suite");
  release.codename = paragraph->get("Codename");
  release.by_hash = paragraph->get("Acquire-By-Hash") == "yes";
  release.date_s = TRY(parse_release_date(paragraph->get("Date")), "field 'Date'");
  if (paragraph->has("Valid-Until"))
    release.valid_until_s =
        TRY(parse_release_date(paragraph->get("Valid-Until")), "field 'Valid-Until'");
  TRY(parse_files(paragraph->get("SHA256"), release));
  if (release.files.empty()) return Error(Code::corrupt, "Release file lists nothing under SHA256");
  return release;
}

Result<void> check_dates(const Release& release, const Archive& archive, int64_t now_s) {
  if (archive.check_date && release.date_s > now_s + kFutureSlackS)
    return Error(Code::denied,
                 "the Release file of '{}' is of {}, but this machine's clock says {}",
                 archive.suite, day_of(release.date_s), day_of(now_s))
        .hint("set the clock: `timedatectl set-ntp true`");
  if (archive.check_valid_until && release.valid_until_s && *release.valid_until_s < now_s)
    return Error(Code::denied,
                 "the Release file of '{}' was valid until {}, and now it is {}: the mirror is old",
                 archive.suite, day_of(*release.valid_until_s), day_of(now_s))
        .hint("use another mirror, or set `Acquire::Check-Valid-Until \"false\";` in apt.conf for an "
              "archive of the past");
  return {};
}

}  // namespace kist::debian
