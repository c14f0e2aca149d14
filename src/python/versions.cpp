#include "python/versions.h"

#include <algorithm>
#include <tuple>

#include "base/text.h"

namespace kist::python {
namespace {

constexpr size_t kMaxBytes = 1024;  // Longer than any version that was ever published.

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return c >= 'a' && c <= 'z'; }

}  // namespace

// Walks over the lower-cased text, part by part, as the regular expression in PEP 440's appendix B.
class VersionParser {
 public:
  explicit VersionParser(std::string_view text) : text_(text) {}

  // False when it is not a version.
  bool parse(Version& out) {
    skip('v');
    if (!epoch_and_release(out)) return false;
    if (!pre(out) || !post(out) || !dev(out) || !local(out)) return false;
    return at_ == text_.size();
  }

 private:
  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool skip(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  static bool is_separator(char c) { return c == '.' || c == '-' || c == '_'; }

  // A run of digits; 0 when there is none and `required` is false.
  bool number(uint64_t& out, bool required) {
    const size_t start = at_;
    while (is_digit(peek())) ++at_;
    if (start == at_) {
      out = 0;
      return !required;
    }
    const auto value = parse_number(text_.substr(start, at_ - start));
    if (!value) return false;
    out = *value;
    return true;
  }

  bool epoch_and_release(Version& out) {
    uint64_t value = 0;
    if (!number(value, true)) return false;
    if (skip('!')) {
      out.epoch_ = value;
      if (!number(value, true)) return false;
    }
    out.release_.push_back(value);
    while (peek() == '.' && is_digit(peek(1))) {
      ++at_;
      if (!number(value, true)) return false;
      out.release_.push_back(value);
    }
    return true;
  }

  // Takes "[sep]word[sep]" when one of the words follows; empty otherwise.
  std::string_view word(std::initializer_list<std::string_view> words) {
    const size_t start = at_ + (is_separator(peek()) ? 1 : 0);
    for (const std::string_view candidate : words) {
      if (text_.substr(start, candidate.size()) != candidate) continue;
      at_ = start + candidate.size();
      if (is_separator(peek()) && is_digit(peek(1))) ++at_;
      return candidate;
    }
    return {};
  }

  bool pre(Version& out) {
    // Longer words first, so that "c" does not take the start of "candidate" away.
    const std::string_view found = word({"alpha", "beta", "preview", "pre", "rc", "a", "b", "c"});
    if (found.empty()) return true;
    const char letter = found[0] == 'a' ? 'a' : found[0] == 'b' ? 'b' : 'r';
    uint64_t value = 0;
    if (!number(value, false)) return false;
    out.pre_ = Version::Pre{letter, value};
    return true;
  }

  bool post(Version& out) {
    uint64_t value = 0;
    if (peek() == '-' && is_digit(peek(1))) {
      ++at_;
      if (!number(value, true)) return false;
      out.post_ = value;
      return true;
    }
    if (word({"post", "rev", "r"}).empty()) return true;
    if (!number(value, false)) return false;
    out.post_ = value;
    return true;
  }

  bool dev(Version& out) {
    if (word({"dev"}).empty()) return true;
    uint64_t value = 0;
    if (!number(value, false)) return false;
    out.dev_ = value;
    return true;
  }

  bool local(Version& out) {
    if (!skip('+')) return true;
    while (true) {
      const size_t start = at_;
      while (is_digit(peek()) || is_letter(peek())) ++at_;
      const std::string_view part = text_.substr(start, at_ - start);
      if (part.empty()) return false;
      if (const auto value = parse_number(part))
        out.local_.emplace_back(*value);
      else
        out.local_.emplace_back(std::string(part));
      if (!is_separator(peek())) return true;
      ++at_;
    }
  }

  std::string_view text_;
  size_t at_ = 0;
};

Result<Version> Version::parse(std::string_view text) {
  const std::string lower = to_lower(trim(text));
  Version version;
  if (lower.size() > kMaxBytes || !VersionParser(lower).parse(version))
    return Error(Code::invalid, "'{}' is not a version (PEP 440)", printable(text));
  return version;
}

std::string Version::string() const {
  std::string out = epoch_ == 0 ? "" : fmt::format("{}!", epoch_);
  for (size_t i = 0; i < release_.size(); ++i)
    out += fmt::format("{}{}", i == 0 ? "" : ".", release_[i]);
  if (pre_) {
    out += pre_->letter == 'r' ? "rc" : std::string(1, pre_->letter);
    out += fmt::format("{}", pre_->number);
  }
  if (post_) out += fmt::format(".post{}", *post_);
  if (dev_) out += fmt::format(".dev{}", *dev_);
  for (size_t i = 0; i < local_.size(); ++i) {
    out += i == 0 ? '+' : '.';
    if (const auto* number = std::get_if<uint64_t>(&local_[i]))
      out += fmt::format("{}", *number);
    else
      out += std::get<std::string>(local_[i]);
  }
  return out;
}

Version Version::without_local() const {
  Version out = *this;
  out.local_.clear();
  return out;
}

Version Version::base() const {
  Version out;
  out.epoch_ = epoch_;
  out.release_ = release_;
  return out;
}

std::strong_ordering Version::operator<=>(const Version& other) const {
  const auto order_release = [](const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
    for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
      const uint64_t x = i < a.size() ? a[i] : 0;
      const uint64_t y = i < b.size() ? b[i] : 0;
      if (x != y) return x <=> y;
    }
    return std::strong_ordering::equal;
  };
  // Where each part that is missing sorts: 1.0.dev1 before 1.0a1 before 1.0 before 1.0.post1.
  const auto key = [](const Version& v) {
    const bool dev_only = !v.pre_ && !v.post_ && v.dev_;
    const int pre_rank = dev_only ? 0 : v.pre_ ? 1 : 2;
    return std::tuple(pre_rank, v.pre_.value_or(Pre{'a', 0}), v.post_.has_value(),
                      v.post_.value_or(0), !v.dev_.has_value(), v.dev_.value_or(0));
  };
  if (const auto order = epoch_ <=> other.epoch_; order != 0) return order;
  if (const auto order = order_release(release_, other.release_); order != 0) return order;
  if (const auto order = key(*this) <=> key(other); order != 0) return order;
  // A shorter local part that is a prefix of the longer sorts first, none before any; numbers above
  // texts: what comparing vectors of (text, number) variants in this order gives.
  return local_ <=> other.local_;
}

Result<VersionSpecifier> VersionSpecifier::parse(std::string_view text) {
  const struct {
    std::string_view symbol;
    Operator op;
  } operators[] = {{"===", Operator::arbitrary}, {"~=", Operator::compatible},
                   {"==", Operator::equal},      {"!=", Operator::not_equal},
                   {"<=", Operator::less_equal}, {">=", Operator::greater_equal},
                   {"<", Operator::less},        {">", Operator::greater}};
  const std::string_view clause = trim(text);
  for (const auto& [symbol, op] : operators) {
    if (!clause.starts_with(symbol)) continue;
    VersionSpecifier out;
    out.op_ = op;
    out.text_ = trim(clause.substr(symbol.size()));
    if (op == Operator::arbitrary) {
      if (!out.text_.empty()) return out;
      break;
    }
    std::string_view version = out.text_;
    if (version.ends_with(".*")) {
      version.remove_suffix(2);
      out.prefix_ = true;
    }
    out.version_ = TRY(Version::parse(version), "in version specifier '{}'", printable(clause));
    const bool exact = op == Operator::equal || op == Operator::not_equal;
    if (out.prefix_ && (!exact || out.version_.has_local())) break;
    if (op == Operator::compatible && out.version_.release().size() < 2) break;
    return out;
  }
  return Error(Code::invalid, "'{}' is not a version specifier (PEP 440)", printable(clause));
}

bool VersionSpecifier::matches_prefix(const Version& version) const {
  if (version.epoch() != version_.epoch()) return false;
  const std::vector<uint64_t>& wanted = version_.release();
  for (size_t i = 0; i < wanted.size(); ++i) {
    const uint64_t got = i < version.release().size() ? version.release()[i] : 0;
    if (got != wanted[i]) return false;
  }
  // "==1.0a1.*" is allowed by the grammar and means what it says only up to the release.
  return true;
}

bool VersionSpecifier::contains(const Version& version) const {
  const Version candidate = version_.has_local() ? version : version.without_local();
  switch (op_) {
    case Operator::arbitrary:
      return to_lower(version.string()) == to_lower(text_);
    case Operator::equal:
      return prefix_ ? matches_prefix(version) : candidate == version_;
    case Operator::not_equal:
      return prefix_ ? !matches_prefix(version) : candidate != version_;
    case Operator::less_equal:
      return version.without_local() <= version_;
    case Operator::greater_equal:
      return version.without_local() >= version_;
    case Operator::less:
      // "<1.0" does not take 1.0rc1 in, unless it is itself about a pre-release.
      if (!(version < version_)) return false;
      return version_.is_prerelease() || !version.is_prerelease() ||
             version.base() != version_.base();
    case Operator::greater:
      // ">1.0" takes neither 1.0.post1 nor 1.0+local in.
      if (!(version > version_)) return false;
      if (!version_.is_postrelease() && version.is_postrelease() &&
          version.base() == version_.base())
        return false;
      return !(version.has_local() && version.base() == version_.base());
    case Operator::compatible: {
      if (version.without_local() < version_) return false;
      std::vector<uint64_t> prefix = version_.release();
      prefix.pop_back();
      if (version.epoch() != version_.epoch()) return false;
      for (size_t i = 0; i < prefix.size(); ++i) {
        const uint64_t got = i < version.release().size() ? version.release()[i] : 0;
        if (got != prefix[i]) return false;
      }
      return true;
    }
  }
  return false;
}

Result<VersionSpecifiers> VersionSpecifiers::parse(std::string_view text) {
  VersionSpecifiers out;
  if (text.size() > 16 * kMaxBytes)
    return Error(Code::invalid, "a version specifier of {} bytes", text.size());
  for (const std::string_view clause : split(text, ',')) {
    if (trim(clause).empty()) continue;  // A comma at the end is common.
    VersionSpecifier specifier = TRY(VersionSpecifier::parse(clause));
    out.clauses_.push_back(std::move(specifier));
  }
  return out;
}

bool VersionSpecifiers::contains(const Version& version) const {
  return std::all_of(clauses_.begin(), clauses_.end(),
                     [&](const VersionSpecifier& clause) { return clause.contains(version); });
}

bool VersionSpecifiers::is_pin() const {
  using Operator = VersionSpecifier::Operator;
  if (clauses_.size() != 1) return false;
  const VersionSpecifier& clause = clauses_.front();
  return clause.op() == Operator::arbitrary ||
         (clause.op() == Operator::equal && !clause.is_prefix());
}

}  // namespace kist::python
