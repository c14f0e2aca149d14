#include "bundle/systemd_unit.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "bundle/cgroup_devices.h"
#include "bundle/cgroup_settings.h"

namespace kist::bundle {
namespace {

constexpr uint64_t kEndless = UINT64_MAX;
constexpr uint64_t kUsPerSecond = 1'000'000;

UnitProperty number(std::string name, uint64_t value) {
  return {.name = std::move(name), .signature = "t", .words = {fmt::format("{}", value)}};
}

// 0 is what is not set; below it: no limit.
void add_limit(std::vector<UnitProperty>& out, const char* name, const std::optional<int64_t>& value) {
  if (value && *value != 0)
    out.push_back(number(name, *value < 0 ? kEndless : static_cast<uint64_t>(*value)));
}

// "0-2,5" as the bits of bytes.
Result<UnitProperty> set_of(const char* name, const std::string& list, const char* field) {
  constexpr uint64_t kMost = 8192;
  std::vector<uint8_t> bits;
  for (const std::string_view part : split(list, ',')) {
    const size_t dash = part.find('-');
    const auto first = parse_number(trim(part.substr(0, dash)));
    const auto last =
        dash == std::string_view::npos ? first : parse_number(trim(part.substr(dash + 1)));
    if (!first || !last || *first > *last || *last >= kMost)
      return Error(Code::invalid, "linux.resources.{}: want a list as 0-2,5, got '{}'", field,
                   printable(list));
    if (bits.size() <= *last / 8) bits.resize(*last / 8 + 1);
    for (uint64_t i = *first; i <= *last; ++i)
      bits[i / 8] = static_cast<uint8_t>(bits[i / 8] | (1u << (i % 8)));
  }
  UnitProperty out{.name = name, .signature = "ay", .words = {fmt::format("{}", bits.size())}};
  for (const uint8_t byte : bits) out.words.push_back(fmt::format("{}", byte));
  return out;
}

void add_cpu(const CpuLimits& cpu, int version, std::vector<UnitProperty>& out) {
  if (cpu.shares && *cpu.shares != 0 && version == 1) out.push_back(number("CPUShares", *cpu.shares));
  if (!cpu.quota_us || *cpu.quota_us == 0) return;
  constexpr uint64_t kPeriodUs = 100'000;
  const uint64_t period = cpu.period_us && *cpu.period_us != 0 ? *cpu.period_us : kPeriodUs;
  uint64_t per_second = kEndless;
  if (*cpu.quota_us > 0) {
    // systemd counts in steps of a hundredth of a processor; a limit must not become less.
    constexpr uint64_t kStep = 10'000;
    const double exact = static_cast<double>(*cpu.quota_us) * kUsPerSecond / static_cast<double>(period);
    per_second = static_cast<uint64_t>(std::ceil(exact / kStep)) * kStep;
  }
  out.push_back(number("CPUQuotaPeriodUSec", period));
  out.push_back(number("CPUQuotaPerSecUSec", per_second));
}

// Files of version 2 that are properties too.
constexpr struct {
  const char* file;
  const char* name;
} kFiles[] = {{"memory.max", "MemoryMax"}, {"memory.high", "MemoryHigh"}, {"memory.low", "MemoryLow"},
              {"memory.min", "MemoryMin"}, {"memory.swap.max", "MemorySwapMax"},
              {"cpu.weight", "CPUWeight"}, {"pids.max", "TasksMax"}};

std::string device_name(const DeviceRule& rule) {
  const char* kind = rule.type == 'b' ? "block" : "char";
  if (!rule.major) return fmt::format("{}-*", kind);
  if (rule.minor) return fmt::format("/dev/{}/{}:{}", kind, *rule.major, *rule.minor);
  return fmt::format("{}-{}", kind, *rule.major);
}

// --- Text of GVariant --------------------------------------------------------------------------

struct Scalar {
  char type = 0;
  std::string word;
};

std::optional<Scalar> string_scalar(std::string_view text) {
  if (text.size() < 2 || (text[0] != '\'' && text[0] != '"') || text.back() != text[0]) return {};
  std::string word;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '\\' && i + 2 < text.size()) ++i;
    else if (text[i] == text[0]) return {};
    word += text[i];
  }
  return Scalar{'s', std::move(word)};
}

bool is_number(std::string_view text, bool whole) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  return !whole || text.find_first_not_of("-0123456789") == std::string_view::npos;
}

std::optional<Scalar> scalar_of(std::string_view text) {
  constexpr struct {
    std::string_view word;
    char type;
  } kTypes[] = {{"byte", 'y'}, {"int16", 'n'}, {"uint16", 'q'}, {"int32", 'i'},
                {"uint32", 'u'}, {"int64", 'x'}, {"uint64", 't'}, {"double", 'd'}};
  text = trim(text);
  if (text == "true" || text == "false") return Scalar{'b', std::string(text)};
  if (auto string = string_scalar(text)) return string;
  for (const auto& [word, type] : kTypes)
    if (text.starts_with(word) && text.size() > word.size() && text[word.size()] == ' ') {
      const std::string_view value = trim(text.substr(word.size()));
      if (!is_number(value, type != 'd')) return {};
      return Scalar{type, std::string(value)};
    }
  if (!is_number(text, false)) return {};
  return Scalar{is_number(text, true) ? 'i' : 'd', std::string(text)};
}

std::optional<UnitProperty> variant_of(const std::string& name, std::string_view text) {
  text = trim(text);
  if (text.empty()) return {};
  if (text[0] != '[') {
    const auto one = scalar_of(text);
    if (!one) return {};
    return UnitProperty{.name = name, .signature = std::string(1, one->type), .words = {one->word}};
  }
  if (text.back() != ']') return {};
  UnitProperty out{.name = name, .signature = "a", .words = {""}};
  const std::string_view inside = text.substr(1, text.size() - 2);
  size_t begin = 0;
  char quote = 0;
  for (size_t i = 0; i <= inside.size(); ++i) {
    const char c = i < inside.size() ? inside[i] : ',';
    if (quote != 0 && i < inside.size()) {
      if (c == '\\') ++i;
      else if (c == quote) quote = 0;
      continue;
    }
    if (c == '\'' || c == '"') quote = c;
    if (c != ',') continue;
    const auto one = scalar_of(inside.substr(begin, i - begin));
    if (!one || (out.signature.size() > 1 && out.signature[1] != one->type)) return {};
    if (out.signature.size() == 1) out.signature += one->type;
    out.words.push_back(one->word);
    begin = i + 1;
  }
  out.words[0] = fmt::format("{}", out.words.size() - 1);
  return out;
}

// Of what is in seconds in unit files the bus has microseconds.
bool to_microseconds(UnitProperty& property) {
  constexpr std::string_view kEnd = "Sec";
  constexpr std::string_view kIs = "USec";
  if (!property.name.ends_with(kEnd) || property.name.ends_with(kIs)) return true;
  double seconds = 0;
  const std::string& word = property.words[0];
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), seconds);
  constexpr double kMost = 1e12;
  if (property.signature.size() != 1 || property.signature == "s" || error != std::errc() ||
      !(seconds >= 0) || seconds > kMost)
    return false;
  property.name.replace(property.name.size() - kEnd.size(), kEnd.size(), kIs);
  property.signature = "t";
  property.words = {fmt::format("{}", static_cast<uint64_t>(seconds * kUsPerSecond))};
  return true;
}

}  // namespace

Result<SystemdUnit> systemd_unit_of(const std::string& cgroups_path, const std::string& id, bool user) {
  const char* top = user ? "user.slice" : "system.slice";
  if (cgroups_path.empty()) return SystemdUnit{top, fmt::format("kist-{}.scope", id)};
  const auto parts = split(cgroups_path, ':');
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@\\:";
  if (parts.size() != 3 || parts[2].empty() ||
      cgroups_path.find_first_not_of(kPlain) != std::string::npos)
    return Error(Code::invalid, "linux.cgroupsPath: with --systemd-cgroup want SLICE:PREFIX:NAME, "
                 "got '{}'", printable(cgroups_path));
  SystemdUnit out{std::string(parts[0]), {}};
  if (out.slice.empty()) out.slice = top;
  if (!out.slice.ends_with(".slice"))
    return Error(Code::invalid, "linux.cgroupsPath: '{}' is no slice, whose name ends in .slice",
                 printable(out.slice));
  if (parts[2].ends_with(".slice"))
    return Error(Code::invalid, "linux.cgroupsPath: '{}' is a slice, and a container is in a scope",
                 printable(parts[2]));
  if (!parts[1].empty()) out.name = fmt::format("{}-", parts[1]);
  out.name += fmt::format("{}.scope", parts[2]);
  return out;
}

Result<std::vector<UnitProperty>> limit_properties(const Resources& resources, int version) {
  std::vector<UnitProperty> out;
  if (version == 1) add_limit(out, "MemoryLimit", resources.memory.limit);
  add_cpu(resources.cpu, version, out);
  if (resources.pids && version == 1)
    out.push_back(number("TasksMax", *resources.pids <= 0 ? kEndless : static_cast<uint64_t>(*resources.pids)));
  if (version == 1) return out;
  for (const CgroupSetting& setting : cgroup_settings_v2(resources))
    for (const auto& [file, name] : kFiles) {
      if (setting.file != file) continue;
      const auto value = setting.value == "max" ? std::optional(kEndless) : parse_number(setting.value);
      if (value) out.push_back(number(name, *value));
    }
  if (!resources.cpu.cpus.empty()) {
    UnitProperty processors = TRY(set_of("AllowedCPUs", resources.cpu.cpus, "cpu.cpus"));
    out.push_back(std::move(processors));
  }
  if (!resources.cpu.mems.empty()) {
    UnitProperty nodes = TRY(set_of("AllowedMemoryNodes", resources.cpu.mems, "cpu.mems"));
    out.push_back(std::move(nodes));
  }
  return out;
}

std::vector<UnitProperty> device_properties(const std::vector<DeviceRule>& rules) {
  if (allows_everything(rules) || rules.empty()) return {};
  if (rules[0].allow || rules[0].type != 'a' || rules[0].major || rules[0].minor) return {};
  UnitProperty allowed{.name = "DeviceAllow", .signature = "a(ss)", .words = {""}};
  for (size_t i = 1; i < rules.size(); ++i) {
    const DeviceRule& rule = rules[i];
    // A node may be made without being used; to systemd that is the same for all of a kind.
    if (!rule.allow || rule.type == 'a' || (!rule.major && rule.minor)) return {};
    std::string access;
    if (rule.read) access += 'r';
    if (rule.write) access += 'w';
    if (rule.make) access += 'm';
    allowed.words.push_back(device_name(rule));
    allowed.words.push_back(std::move(access));
  }
  allowed.words[0] = fmt::format("{}", (allowed.words.size() - 1) / 2);
  return {{.name = "DevicePolicy", .signature = "s", .words = {"strict"}}, std::move(allowed)};
}

Result<std::vector<UnitProperty>> annotated_properties(
    const std::map<std::string, std::string>& annotations) {
  constexpr std::string_view kPrefix = "org.systemd.property.";
  std::vector<UnitProperty> out;
  for (const auto& [key, value] : annotations) {
    if (!key.starts_with(kPrefix)) continue;
    const std::string name = key.substr(kPrefix.size());
    const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    });
    auto property = variant_of(name, value);
    if (!plain || !property || !to_microseconds(*property))
      return Error(Code::invalid, "annotations.{}: want the text of a property's value, as "
                   "'uint64 5', 'true' or \"['a.service']\", got '{}'", printable(key), printable(value));
    out.push_back(std::move(*property));
  }
  return out;
}

}  // namespace kist::bundle
