#include "python/pyproject.h"

#include <algorithm>

#include "base/text.h"
#include "python/requirements.h"
#include "python/versions.h"

namespace kist::python {
namespace {

using toml::Fields;

// Everything of pyproject.toml that changes what is installed. The rest (linters, version,
// description) may change without making a lock stale.
std::string relevant_text(const Fields& root) {
  std::string out;
  const auto add = [&](const toml::Table* table, std::string_view path, std::string_view key) {
    const toml::Value* value = table == nullptr ? nullptr : table->find(key);
    if (value != nullptr) out += fmt::format("{}.{} = {}\n", path, key, toml::one_line(*value));
  };
  const auto child = [](const toml::Table* table, std::string_view key) {
    const toml::Value* value = table == nullptr ? nullptr : table->find(key);
    return value == nullptr ? nullptr : value->as<toml::Table>();
  };
  const toml::Table* top = &root.table();
  const toml::Table* project = child(top, "project");
  for (const char* key : {"name", "dependencies", "optional-dependencies", "requires-python",
                          "dynamic", "scripts", "gui-scripts", "entry-points"})
    add(project, "project", key);
  add(top, "", "dependency-groups");
  add(top, "", "build-system");
  const toml::Table* tool = child(top, "tool");
  add(tool, "tool", "uv");
  if (project == nullptr) add(tool, "tool", "poetry");
  return out;
}

class GroupResolver {
 public:
  GroupResolver(const Fields& fields, Pyproject& out) : fields_(fields), out_(out) {}

  Result<void> resolve_all() {
    for (const auto& [key, value] : fields_.table().entries()) {
      if (!is_valid_name(key))
        return fields_.error(key, "'{}' is not a group's name", printable(key));
      if (!values_.emplace(normalize_name(key), std::pair(key, &value)).second)
        return fields_.error(key, "group '{}' is given twice", normalize_name(key));
    }
    for (const auto& [name, value] : values_) TRY(resolve(name));
    return {};
  }

 private:
  Result<void> resolve(const std::string& name) {
    if (out_.groups.contains(name)) return {};
    const auto& [key, value] = values_.at(name);
    if (std::find(open_.begin(), open_.end(), name) != open_.end()) {
      return fields_.error(key, "group '{}' includes itself: {} → {}", name,
                           fmt::join(open_, " → "), name);
    }
    const auto* array = value->as<toml::Array>();
    if (array == nullptr)
      return fields_.error(key, "'{}' is {}, want an array", fields_.name(key), value->kind());
    open_.push_back(name);
    std::vector<std::string> requirements;
    for (const toml::Value& element : *array) {
      if (const auto* text = element.as<std::string>()) {
        TRY(parse_requirement(*text), "{}'{}'", fields_.where(key), fields_.name(key));
        requirements.push_back(*text);
        continue;
      }
      const std::string included = TRY(included_name(key, element));
      TRY(resolve(included));
      const std::vector<std::string>& more = out_.groups.at(included);
      requirements.insert(requirements.end(), more.begin(), more.end());
    }
    open_.pop_back();
    out_.groups[name] = std::move(requirements);
    return {};
  }

  Result<std::string> included_name(const std::string& key, const toml::Value& element) {
    const auto* table = element.as<toml::Table>();
    const toml::Value* include = table == nullptr ? nullptr : table->find("include-group");
    const auto* text = include == nullptr ? nullptr : include->as<std::string>();
    if (text == nullptr || table->entries().size() != 1) {
      return fields_.error(key, "'{}' has {}, want requirements and {{include-group = \"NAME\"}}",
                           fields_.name(key), element.kind());
    }
    const std::string name = normalize_name(*text);
    if (values_.contains(name)) return name;
    std::vector<std::string> known;
    for (const auto& [candidate, value] : values_) known.push_back(candidate);
    Error error = fields_.error(key, "'{}' includes '{}', which is no group", fields_.name(key),
                                printable(*text));
    if (const auto near = nearest(name, known))
      return std::move(error).hint(fmt::format("write `{}`", *near));
    return error;
  }

  const Fields& fields_;
  Pyproject& out_;
  std::map<std::string, std::pair<std::string, const toml::Value*>> values_;
  std::vector<std::string> open_;  // Groups that we are in, outermost first.
};

Result<std::vector<std::string>> read_requirement_list(Fields& fields, std::string_view key) {
  std::vector<std::string> list = TRY(fields.optional_strings(key));
  for (const std::string& text : list)
    TRY(parse_requirement(text), "{}'{}'", fields.where(key), fields.name(key));
  return list;
}

Result<void> read_project(Fields& project, Pyproject& out) {
  out.has_project = true;
  const std::string name = TRY(project.string("name"));
  if (!is_valid_name(name))
    return project.error("name", "'project.name' is '{}', not a package name", printable(name));
  out.name = normalize_name(name);
  out.version = TRY(project.optional_string("version"));
  out.requires_python = TRY(project.optional_string("requires-python"));
  TRY(VersionSpecifiers::parse(out.requires_python), "{}'project.requires-python'",
      project.where("requires-python"));
  out.dependencies = TRY(read_requirement_list(project, "dependencies"));
  out.dynamic = TRY(project.optional_strings("dynamic"));
  std::optional<Fields> extras = TRY(project.optional_table("optional-dependencies"));
  if (!extras) return {};
  for (const auto& [extra, value] : extras->table().entries())
    out.extras[normalize_name(extra)] = TRY(read_requirement_list(*extras, extra));
  return {};
}

// What of this machine uv will look at, beside the project. uv says itself what is wrong there.
Result<void> read_uv_paths(Fields& uv, Pyproject& out) {
  const std::optional<Fields> sources = TRY(uv.optional_table("sources"));
  if (!sources) return {};
  const auto add = [&](const toml::Value& value) {
    const auto* table = value.as<toml::Table>();
    const toml::Value* path = table == nullptr ? nullptr : table->find("path");
    if (path != nullptr && path->as<std::string>() != nullptr)
      out.uv_paths.push_back(*path->as<std::string>());
  };
  for (const auto& [name, value] : sources->table().entries()) {
    add(value);
    if (const auto* several = value.as<toml::Array>())
      for (const toml::Value& one : *several) add(one);
  }
  return {};
}

Result<void> read_uv(Fields& uv, Pyproject& out) {
  TRY(read_uv_paths(uv, out));
  const std::optional<bool> package = TRY(uv.optional_boolean("package"));
  if (package) out.is_package = *package;
  const toml::Value* groups = uv.optional_value("default-groups");
  if (groups == nullptr) return {};
  out.default_groups.clear();
  if (const auto* text = groups->as<std::string>(); text != nullptr && *text == "all") {
    for (const auto& [name, requirements] : out.groups) out.default_groups.push_back(name);
    return {};
  }
  const std::vector<std::string> names = TRY(uv.optional_strings("default-groups"));
  for (const std::string& name : names) {
    if (!out.groups.contains(normalize_name(name))) {
      return uv.error("default-groups", "'{}' has '{}', which is no group",
                      uv.name("default-groups"), printable(name));
    }
    out.default_groups.push_back(normalize_name(name));
  }
  return {};
}

Result<void> read_tool(Fields& tool, Pyproject& out) {
  std::optional<Fields> poetry = TRY(tool.optional_table("poetry"));
  out.is_poetry = poetry && poetry->has("dependencies") && !out.has_project;
  std::optional<Fields> uv = TRY(tool.optional_table("uv"));
  if (uv) TRY(read_uv(*uv, out));
  std::optional<Fields> kist = TRY(tool.optional_table("kist"));
  if (kist) out.kist = TRY(parse_project_table(*kist));
  return {};
}

}  // namespace

bool Pyproject::is_static() const {
  return has_project && std::none_of(dynamic.begin(), dynamic.end(), [](const std::string& key) {
           return key == "dependencies" || key == "optional-dependencies";
         });
}

Result<Pyproject> parse_pyproject(std::string_view text, std::string_view file) {
  const toml::Value value = TRY(toml::parse(text, file, {.bytes = 16u << 20}));
  Fields root = TRY(Fields::of(value, file));
  Pyproject out;
  std::optional<Fields> project = TRY(root.optional_table("project"));
  if (project) TRY(read_project(*project, out));
  std::optional<Fields> groups = TRY(root.optional_table("dependency-groups"));
  if (groups) TRY(GroupResolver(*groups, out).resolve_all());
  if (out.groups.contains("dev")) out.default_groups = {"dev"};
  out.has_build_system = root.has("build-system");
  out.is_package = out.has_build_system && out.has_project;
  std::optional<Fields> tool = TRY(root.optional_table("tool"));
  if (tool) TRY(read_tool(*tool, out));
  out.relevant = relevant_text(root);
  return out;
}

}  // namespace kist::python
