// kist events
#include <algorithm>
#include <boost/json.hpp>
#include <ctime>

#include "base/text.h"
#include "container_cli/verb.h"
#include "containers/log_reader.h"
#include "events/events.h"
#include "format/template.h"

namespace kist::container_cli {
namespace {

namespace json = boost::json;
using events::Event;

Result<int64_t> moment_of(const cli::Parsed& parsed, const char* flag, int64_t otherwise) {
  if (!parsed.has(flag)) return otherwise;
  const auto time = containers::parse_time(parsed.value(flag), now_ns());
  if (time) return *time;
  return Error(Code::invalid, "{}: '{}' is no time, want for example 2026-01-02T03:04:05Z, or 10m for ten minutes ago",
               flag, printable(parsed.value(flag)));
}

std::string local_time(int64_t ns) {
  const time_t seconds = ns / 1'000'000'000;
  tm parts = {};
  ::localtime_r(&seconds, &parts);
  char text[64];
  char zone[16];
  const size_t size = ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  const size_t zone_size = ::strftime(zone, sizeof zone, "%z", &parts);
  const std::string_view offset(zone, zone_size);
  return fmt::format("{}.{:09}{}:{}", std::string_view(text, size), ns % 1'000'000'000, offset.substr(0, 3),
                     offset.substr(std::min<size_t>(3, offset.size())));
}

// As docker prints it: "TIME TYPE ACTION ID (key=value, …)", keys sorted.
std::string line_of(const Event& event) {
  auto attributes = event.attributes;
  std::sort(attributes.begin(), attributes.end());
  std::string text;
  for (const auto& [key, value] : attributes)
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", printable(key), printable(value));
  return fmt::format("{} {} {} {} ({})", local_time(event.time_ns), printable(event.type), printable(event.action, 1000),
                     printable(event.id), text);
}

json::object object_of(const Event& event) {
  json::object attributes;
  for (const auto& [key, value] : event.attributes) attributes[key] = value;
  json::object out{{"Type", event.type},
                   {"Action", event.action},
                   {"Actor", json::object{{"ID", event.id}, {"Attributes", std::move(attributes)}}},
                   {"scope", "local"},
                   {"time", event.time_ns / 1'000'000'000},
                   {"timeNano", event.time_ns}};
  if (event.type == "container") {
    out["status"] = event.action;
    out["id"] = event.id;
    for (const auto& [key, value] : event.attributes)
      if (key == "image") out["from"] = value;
  }
  return out;
}

// What templates name as docker's do: also as {{.Time}}, {{.ID}} and so on.
json::object template_values(const Event& event) {
  json::object out = object_of(event);
  out["Time"] = out["time"];
  out["TimeNano"] = out["timeNano"];
  out["Scope"] = "local";
  out["ID"] = event.id;
  out["Status"] = event.action;
  out["From"] = out.contains("from") ? out["from"] : json::value("");
  return out;
}

std::string attribute(const Event& event, std::string_view wanted) {
  for (const auto& [key, value] : event.attributes)
    if (key == wanted) return value;
  return "";
}

bool fits(const Event& event, const Filters& filters) {
  for (const auto& [key, values] : filters) {
    const auto any = [&](const auto& is) { return std::any_of(values.begin(), values.end(), is); };
    const auto names = [&](std::string_view type, const std::string& v) {
      return event.type == type && (event.id == v || (v.size() > 3 && event.id.starts_with(v)) || attribute(event, "name") == v);
    };
    bool ok = true;
    if (key == "type") ok = any([&](const std::string& v) { return event.type == v; });
    // "exec_start" stands for "exec_start: sh" too.
    if (key == "event")
      ok = any([&](const std::string& v) { return event.action == v || event.action.starts_with(v + ":"); });
    if (key == "container") ok = any([&](const std::string& v) { return names("container", v); });
    if (key == "volume") ok = any([&](const std::string& v) { return names("volume", v); });
    if (key == "network") ok = any([&](const std::string& v) { return names("network", v); });
    if (key == "image")
      ok = any([&](const std::string& v) {
        const std::string image = event.type == "image" ? attribute(event, "name") : attribute(event, "image");
        return image == v || launch::image_name(image) == launch::image_name(v) || (event.type == "image" && event.id == v);
      });
    if (key == "label") ok = fits_labels({{key, values}}, {event.attributes.begin(), event.attributes.end()});
    if (!ok) return false;
  }
  return true;
}

}  // namespace

Result<int> events_verb(const cli::Parsed& parsed, const Here& here) {
  const Filters filters =
      TRY(filters_of(parsed, {"type", "event", "container", "volume", "network", "image", "label", "scope", "daemon"}));
  events::Range range;
  range.since_ns = TRY(moment_of(parsed, "--since", 0));
  range.until_ns = TRY(moment_of(parsed, "--until", INT64_MAX));
  const bool ends = parsed.has("--until") || parsed.off("--stream");
  if (parsed.off("--stream")) range.until_ns = std::min(range.until_ns, now_ns());
  // Without --since docker begins now.
  if (range.since_ns == 0) range.since_ns = ends ? 1 : now_ns();
  std::string format = parsed.value("--format");
  const bool as_json = format == "json" || format == "{{json .}}";
  std::optional<format::Template> shape;
  if (!format.empty() && !as_json) shape = TRY(format::Template::parse(format), "--format");
  std::optional<Error> failed;
  TRY(events::follow(here.host.kist_home, range, [&](const Event& event) {
    if (!fits(event, filters)) return true;
    if (as_json) {
      here.terminal.line(json::serialize(object_of(event)));
    } else if (shape) {
      auto line = shape->render(template_values(event));
      if (!line) failed = std::move(line).error();
      else here.terminal.line(*line);
    } else {
      here.terminal.line(line_of(event));
    }
    return !failed && here.terminal.finish().has_value();
  }));
  if (failed) return std::move(*failed).context("--format");
  return 0;
}

}  // namespace kist::container_cli
