// kist inspect IMAGE… (and kist image inspect)
#include "base/text.h"
#include "format/template.h"
#include "verbs/image_verbs.h"
#include "verbs/json.h"

namespace kist::verbs {
namespace {

namespace json = boost::json;

json::array list_of(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.push_back(json_text(text));
  return out;
}

// The object "config" of the configuration, with all its fields, known to us or not.
json::value raw_config(const images::Image& image) {
  boost::system::error_code failed;
  const json::value whole = json::parse(image.config_bytes, failed);
  if (failed || !whole.is_object()) return nullptr;
  const json::value* const config = whole.get_object().if_contains("config");
  return config == nullptr ? json::value(nullptr) : *config;
}

// Indented as docker's, four blanks, since people read it.
void pretty(std::string& out, const json::value& value, size_t depth) {
  const std::string inner((depth + 1) * 4, ' ');
  const std::string outer(depth * 4, ' ');
  if (value.is_array() && !value.get_array().empty()) {
    out += "[\n";
    for (size_t i = 0; i < value.get_array().size(); ++i) {
      out += (i == 0 ? "" : ",\n") + inner;
      pretty(out, value.get_array()[i], depth + 1);
    }
    out += "\n" + outer + "]";
  } else if (value.is_object() && !value.get_object().empty()) {
    out += "{\n";
    bool is_first = true;
    for (const auto& field : value.get_object()) {
      out += (is_first ? "" : ",\n") + inner + json::serialize(json::value(field.key())) + ": ";
      is_first = false;
      pretty(out, field.value(), depth + 1);
    }
    out += "\n" + outer + "}";
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

json::object image_json(const images::Image& image) {
  const oci::ImageConfig& config = image.config;
  json::array layers;
  for (const oci::Digest& diff_id : config.diff_ids) layers.emplace_back(diff_id.string());
  const std::string comment = config.history.empty() ? "" : config.history.back().comment;
  json::object out{{"Id", image.id.string()},
                   {"RepoTags", list_of(image.names)},
                   {"RepoDigests", list_of(image.repository_digests())},
                   {"Parent", ""},
                   {"Comment", json_text(comment)},
                   {"Created", json_text(config.created)},
                   {"DockerVersion", json_text(config.docker_version)},
                   {"Author", json_text(config.author)},
                   {"Config", raw_config(image)},
                   {"Architecture", json_text(config.platform.architecture)},
                   {"Os", json_text(config.platform.os)},
                   {"Size", image.size_bytes()},
                   {"VirtualSize", image.size_bytes()},
                   {"GraphDriver", {{"Data", nullptr}, {"Name", "kist"}}},
                   {"RootFS", {{"Type", "layers"}, {"Layers", std::move(layers)}}},
                   {"Digest", image.digest.string()}};
  if (!config.platform.variant.empty()) out["Variant"] = json_text(config.platform.variant);
  return out;
}

// As docker: shows all that it finds, and fails for the rest.
Result<int> inspect_verb(const cli::Parsed& parsed, const environment::Context& context,
                         cli::Terminal& terminal) {
  const std::string type = parsed.value("--type", "image");
  if (type != "image")
    return Error(Code::invalid, "\"{}\" is not a valid value for --type here, want image", printable(type));
  const images::ImageStore store(context.store);
  std::vector<json::object> found;
  std::vector<Error> missing;
  for (const std::string& text : parsed.positionals()) {
    const auto image = store.find(text);
    if (image) found.push_back(image_json(*image));
    else missing.push_back(image.error());
  }
  if (parsed.has("--format")) {
    TRY(print_formatted(parsed.value("--format"), found, {}, terminal));
  } else {
    std::string out;
    pretty(out, json::array(found.begin(), found.end()), 0);
    terminal.line(out);
  }
  for (const Error& error : missing) terminal.error(error);
  return missing.empty() ? 0 : 1;
}

}  // namespace kist::verbs
