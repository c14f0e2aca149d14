// Documents of ours. Keys stand in a fixed order, so that equal images are equal bytes.
#include <boost/json.hpp>

#include "oci/image.h"

namespace kist::oci {
namespace {

namespace json = boost::json;

void put(json::object& out, std::string_view key, const std::string& value) {
  if (!value.empty()) out[{key.data(), key.size()}] = value;
}

void put(json::object& out, std::string_view key, const std::vector<std::string>& values) {
  if (values.empty()) return;
  json::array list;
  for (const std::string& value : values) list.emplace_back(value);
  out[{key.data(), key.size()}] = std::move(list);
}

void put(json::object& out, std::string_view key, const std::map<std::string, std::string>& map) {
  if (map.empty()) return;
  json::object object;
  for (const auto& [name, value] : map) object[name] = value;
  out[{key.data(), key.size()}] = std::move(object);
}

void put_keys(json::object& out, std::string_view key, const std::vector<std::string>& names) {
  if (names.empty()) return;
  json::object object;
  for (const std::string& name : names) object[name] = json::object();
  out[{key.data(), key.size()}] = std::move(object);
}

json::object platform_object(const Platform& platform) {
  json::object out{{"architecture", platform.architecture}, {"os", platform.os}};
  put(out, "variant", platform.variant);
  return out;
}

json::object descriptor_object(const Descriptor& descriptor) {
  json::object out{{"mediaType", descriptor.media_type},
                   {"digest", descriptor.digest.string()},
                   {"size", descriptor.size_bytes}};
  put(out, "artifactType", descriptor.artifact_type);
  put(out, "annotations", descriptor.annotations);
  if (descriptor.platform) out["platform"] = platform_object(*descriptor.platform);
  return out;
}

json::array descriptor_list(const std::vector<Descriptor>& descriptors) {
  json::array out;
  for (const Descriptor& descriptor : descriptors) out.push_back(descriptor_object(descriptor));
  return out;
}

json::object healthcheck_object(const Healthcheck& health) {
  json::object out;
  put(out, "Test", health.test);
  const std::pair<const char*, int64_t> numbers[] = {{"Interval", health.interval_ns},
                                                     {"Timeout", health.timeout_ns},
                                                     {"StartPeriod", health.start_period_ns},
                                                     {"StartInterval", health.start_interval_ns},
                                                     {"Retries", health.retries}};
  for (const auto& [name, value] : numbers)
    if (value != 0) out[name] = value;
  return out;
}

json::object run_object(const RunConfig& run) {
  json::object out;
  put(out, "User", run.user);
  put_keys(out, "ExposedPorts", run.exposed_ports);
  put(out, "Env", run.env);
  put(out, "Entrypoint", run.entrypoint);
  put(out, "Cmd", run.cmd);
  put_keys(out, "Volumes", run.volumes);
  put(out, "WorkingDir", run.working_dir);
  put(out, "Labels", run.labels);
  put(out, "StopSignal", run.stop_signal);
  put(out, "Shell", run.shell);
  put(out, "OnBuild", run.on_build);
  if (run.healthcheck) out["Healthcheck"] = healthcheck_object(*run.healthcheck);
  return out;
}

json::array history_list(const std::vector<History>& history) {
  json::array out;
  for (const History& step : history) {
    json::object one;
    put(one, "created", step.created);
    put(one, "created_by", step.created_by);
    put(one, "author", step.author);
    put(one, "comment", step.comment);
    if (step.empty_layer) one["empty_layer"] = true;
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

std::string encode(const Manifest& manifest) {
  json::object out{{"schemaVersion", 2}, {"mediaType", manifest.media_type}};
  put(out, "artifactType", manifest.artifact_type);
  out["config"] = descriptor_object(manifest.config);
  out["layers"] = descriptor_list(manifest.layers);
  if (manifest.subject) out["subject"] = descriptor_object(*manifest.subject);
  put(out, "annotations", manifest.annotations);
  return json::serialize(out);
}

std::string encode(const Index& index) {
  json::object out{{"schemaVersion", 2}, {"mediaType", index.media_type}};
  out["manifests"] = descriptor_list(index.manifests);
  put(out, "annotations", index.annotations);
  return json::serialize(out);
}

std::string encode(const ImageConfig& config) {
  json::object out;
  put(out, "created", config.created);
  put(out, "author", config.author);
  for (const auto& field : platform_object(config.platform)) out[field.key()] = field.value();
  out["config"] = run_object(config.run);
  json::array diff_ids;
  for (const Digest& digest : config.diff_ids) diff_ids.emplace_back(digest.string());
  out["rootfs"] = json::object{{"type", "layers"}, {"diff_ids", std::move(diff_ids)}};
  out["history"] = history_list(config.history);
  return json::serialize(out);
}

}  // namespace kist::oci
