#include "container_cli/health_of.h"

#include <algorithm>

#include "base/text.h"

namespace kist::container_cli {

std::optional<int64_t> parse_span(std::string_view text) {
  constexpr struct {
    std::string_view name;
    double ns;
  } kUnits[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  if (text == "0") return 0;
  double sum = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::string_view number = text.substr(0, digits);
    text.remove_prefix(digits);
    const size_t letters = std::min(text.find_first_of("0123456789."), text.size());
    const auto unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                   [&](const auto& u) { return u.name == text.substr(0, letters); });
    text.remove_prefix(letters);
    const size_t dot = std::min(number.find('.'), number.size());
    const auto whole = parse_number(number.substr(0, dot));
    if (!whole || unit == std::end(kUnits)) return std::nullopt;
    double value = static_cast<double>(*whole);
    double place = 0.1;
    for (const char digit : number.substr(std::min(dot + 1, number.size()))) {
      if (digit == '.') return std::nullopt;
      value += place * (digit - '0');
      place /= 10;
    }
    sum += value * unit->ns;
  }
  constexpr double kLongest = 9e18;
  if (sum > kLongest) return std::nullopt;
  return static_cast<int64_t>(sum + 0.5);
}

namespace {

// As docker: 0 is the default, else at least a millisecond.
Result<void> read_span(const cli::Parsed& parsed, const char* flag, int64_t& out) {
  if (!parsed.has(flag)) return {};
  const std::string text = parsed.value(flag);
  const auto span = parse_span(text);
  constexpr int64_t kLeast = 1'000'000;
  if (!span || (*span != 0 && *span < kLeast))
    return Error(Code::invalid, "{}: '{}' is no span of time of at least 1ms, for example 30s or 1m30s", flag, printable(text));
  out = *span;
  return {};
}

}  // namespace

Result<containers::HealthCheck> health_of(const cli::Parsed& parsed, const launch::ReadyImage& image) {
  constexpr const char* kFlags[] = {"--health-cmd", "--health-interval", "--health-timeout", "--health-start-period",
                                    "--health-start-interval", "--health-retries"};
  const auto& theirs = image.healthcheck;
  containers::HealthCheck out{theirs.test, theirs.interval_ns, theirs.timeout_ns, theirs.start_period_ns,
                              theirs.start_interval_ns, static_cast<uint64_t>(std::max<int64_t>(theirs.retries, 0)), image.shell};
  if (parsed.has("--no-healthcheck")) {
    for (const char* flag : kFlags)
      if (parsed.has(flag)) return Error(Code::invalid, "--no-healthcheck and {} exclude each other", flag);
    return containers::HealthCheck{.test = {"NONE"}};
  }
  if (parsed.has("--health-cmd")) {
    out.test = {"CMD-SHELL", parsed.value("--health-cmd")};
    if (out.test[1] == "none" || out.test[1].empty()) out.test = {"NONE"};
  }
  TRY(read_span(parsed, "--health-interval", out.interval_ns));
  TRY(read_span(parsed, "--health-timeout", out.timeout_ns));
  TRY(read_span(parsed, "--health-start-period", out.start_period_ns));
  TRY(read_span(parsed, "--health-start-interval", out.start_interval_ns));
  if (parsed.has("--health-retries")) {
    const auto retries = parse_number(parsed.value("--health-retries"));
    if (!retries || *retries > 1'000'000)
      return Error(Code::invalid, "--health-retries: '{}' is no number", printable(parsed.value("--health-retries")));
    out.retries = *retries;
  }
  return out;
}

}  // namespace kist::container_cli
