// kist images [-q] [--filter K=V] [--format T] [--digests] [--no-trunc] [REPOSITORY[:TAG]]
#include <fnmatch.h>

#include "base/text.h"
#include "container_cli/filters.h"
#include "container_cli/table.h"
#include "format/human.h"
#include "verbs/image_verbs.h"
#include "verbs/json.h"

namespace kist::verbs {
namespace {

using images::Image;

constexpr std::string_view kNone = "<none>";

// One line: an image under one of its names, or under none.
struct Row {
  const Image* image;
  std::string repository{kNone};
  std::string tag{kNone};
  bool is_named() const { return repository != kNone; }
};

std::vector<Row> rows_of(const std::vector<Image>& all) {
  std::vector<Row> rows;
  for (const Image& image : all) {
    if (image.names.empty()) rows.push_back({.image = &image});
    for (const std::string& name : image.names) {
      const size_t colon = name.rfind(':');
      rows.push_back({&image, name.substr(0, colon), name.substr(colon + 1)});
    }
  }
  return rows;
}

bool matches(const std::string& pattern, const std::string& text) {
  return ::fnmatch(pattern.c_str(), text.c_str(), FNM_PATHNAME) == 0;
}

// docker's: a pattern for the name with or without tag, whole or without its registry's path.
bool matches_reference(const std::string& pattern, const Row& row) {
  if (!row.is_named()) return false;
  const std::string full = row.repository + ":" + row.tag;
  const std::string last(os::name_of(row.repository));
  return matches(pattern, full) || matches(pattern, row.repository) || matches(pattern, last) ||
         matches(pattern, last + ":" + row.tag);
}

bool has_label(const Image& image, const std::string& wanted) {
  const size_t equals = wanted.find('=');
  const auto found = image.config.run.labels.find(wanted.substr(0, equals));
  if (found == image.config.run.labels.end()) return false;
  return equals == std::string::npos || found->second == wanted.substr(equals + 1);
}

Result<bool> passes(const Row& row, const std::string& filter, const images::ImageStore& store) {
  const size_t equals = filter.find('=');
  const std::string key = filter.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : filter.substr(equals + 1);
  if (key == "reference") return matches_reference(value, row);
  if (key == "dangling") return row.is_named() != (value == "true" || value == "1");
  if (key == "label") return has_label(*row.image, value);
  if (key == "before" || key == "since") {
    const Image other = TRY(store.find(value));
    return key == "before" ? row.image->config.created < other.config.created
                           : row.image->config.created > other.config.created;
  }
  if (key == "until") {
    const int64_t until = TRY(container_cli::until_of({{"until", {value}}}));
    const auto created = format::parse_time(row.image->config.created);
    return created && *created * 1'000'000'000 < until;
  }
  return Error(Code::invalid, "invalid filter '{}'", printable(filter))
      .hint("`--filter reference=PATTERN`, dangling=, label=, before=, since=, until=");
}

Result<std::vector<Row>> chosen(const cli::Parsed& parsed, const std::vector<Image>& all,
                                const images::ImageStore& store) {
  std::vector<Row> out;
  for (Row& row : rows_of(all)) {
    bool is_chosen = parsed.positionals().empty() || matches_reference(parsed.positionals()[0], row);
    for (const std::string& filter : parsed.values("--filter")) {
      const bool is_good = TRY(passes(row, filter, store));
      is_chosen = is_chosen && is_good;
    }
    if (is_chosen) out.push_back(std::move(row));
  }
  return out;
}

boost::json::object object_of(const Row& row, bool no_trunc, int64_t now_s) {
  const Image& image = *row.image;
  const auto created = format::parse_time(image.config.created);
  const std::string size = format::docker_size(image.size_bytes());
  return {{"Containers", "N/A"},
          {"CreatedAt", created ? format::docker_time(*created) : "N/A"},
          {"CreatedSince", created ? format::docker_duration(now_s - *created) + " ago" : "N/A"},
          {"Digest", image.digest.string()},
          {"ID", no_trunc ? image.id.string() : short_id(image.id)},
          {"Repository", row.repository},
          {"SharedSize", "N/A"},
          {"Size", size},
          {"Tag", row.tag},
          {"UniqueSize", "N/A"},
          {"VirtualSize", size}};
}

const boost::json::object& titles() {
  static const boost::json::object all{
      {"ID", "IMAGE ID"},         {"CreatedSince", "CREATED"},   {"CreatedAt", "CREATED AT"},
      {"Digest", "DIGEST"},       {"Repository", "REPOSITORY"},  {"Tag", "TAG"},
      {"Size", "SIZE"},           {"Containers", "CONTAINERS"},  {"VirtualSize", "SIZE"},
      {"UniqueSize", "UNIQUE SIZE"}, {"SharedSize", "SHARED SIZE"}};
  return all;
}

void print_ids(const std::vector<Row>& rows, bool no_trunc, cli::Terminal& terminal) {
  std::vector<std::string> seen;
  for (const Row& row : rows) {
    std::string id = no_trunc ? row.image->id.string() : short_id(row.image->id);
    if (std::find(seen.begin(), seen.end(), id) != seen.end()) continue;
    terminal.line(id);
    seen.push_back(std::move(id));
  }
}

void print_json(const std::vector<Image>& all, cli::Terminal& terminal) {
  boost::json::array list;
  for (const Image& image : all) {
    boost::json::array names;
    for (const std::string& name : image.names) names.push_back(json_text(name));
    list.push_back(boost::json::object{{"id", image.id.string()},
                                       {"digest", image.digest.string()},
                                       {"names", std::move(names)},
                                       {"created", json_text(image.config.created)},
                                       {"platform", json_text(image.config.platform.string())},
                                       {"size_bytes", image.size_bytes()},
                                       {"layers", image.layers.size()}});
  }
  terminal.line(json_line(list));
}

}  // namespace

std::vector<boost::json::object> image_fields(const Image& image, int64_t now_s) {
  std::vector<boost::json::object> out;
  const std::vector<Image> alone{image};
  for (const Row& row : rows_of(alone)) out.push_back(object_of(row, false, now_s));
  return out;
}

Result<int> images_verb(const cli::Parsed& parsed, const environment::Context& context,
                        cli::Terminal& terminal) {
  const images::ImageStore store(context.store);
  const std::vector<Image> all = TRY(store.list());
  if (parsed.has("--json")) {
    print_json(all, terminal);
    return 0;
  }
  const std::vector<Row> rows = TRY(chosen(parsed, all, store));
  const bool no_trunc = parsed.has("--no-trunc");
  if (parsed.has("--quiet") && !parsed.has("--format")) {
    print_ids(rows, no_trunc, terminal);
    return 0;
  }
  std::vector<format::ListingRow> lines;
  for (const Row& row : rows) lines.push_back({object_of(row, no_trunc, context.now_s), {}});
  const std::string_view usual = parsed.has("--digests")
                                     ? "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
                                     : "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
  TRY(container_cli::print_listing({.usual = usual, .titles = titles(), .has_heading = !parsed.has("--noheading")}, lines, parsed.value("--format"), terminal));
  return 0;
}

}  // namespace kist::verbs
