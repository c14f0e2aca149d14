#include "bundle/spec_writer.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "bundle/spec_words.h"

namespace kist::bundle {
namespace {

namespace json = boost::json;

json::array texts(const std::vector<std::string>& list) {
  return json::array(list.begin(), list.end());
}

std::string_view name_of(std::span<const Word> words, uint64_t number) {
  for (const Word& word : words)
    if (word.number == number) return word.name;
  return {};
}

json::array capability_names(uint64_t set) {
  json::array out;
  for (const Word& word : capability_words())
    if ((set & (uint64_t{1} << word.number)) != 0) out.emplace_back(word.name);
  return out;
}

json::object process_json(const Process& process) {
  json::object user = {{"uid", process.user.uid},
                       {"gid", process.user.gid},
                       {"additionalGids", json::array(process.user.additional_gids.begin(),
                                                      process.user.additional_gids.end())}};
  if (process.user.umask) user["umask"] = *process.user.umask;
  json::object out = {{"terminal", process.terminal},
                      {"cwd", process.cwd},
                      {"args", texts(process.args)},
                      {"env", texts(process.env)},
                      {"user", std::move(user)},
                      {"noNewPrivileges", process.no_new_privileges},
                      {"apparmorProfile", process.apparmor_profile},
                      {"selinuxLabel", process.selinux_label}};
  if (process.capabilities)
    out["capabilities"] = {{"bounding", capability_names(process.capabilities->bounding)},
                           {"effective", capability_names(process.capabilities->effective)},
                           {"inheritable", capability_names(process.capabilities->inheritable)},
                           {"permitted", capability_names(process.capabilities->permitted)},
                           {"ambient", capability_names(process.capabilities->ambient)}};
  json::array limits;
  for (const Rlimit& limit : process.rlimits)
    limits.push_back(
        json::object{{"type", name_of(rlimit_words(), static_cast<uint64_t>(limit.resource))},
                     {"soft", limit.soft},
                     {"hard", limit.hard}});
  out["rlimits"] = std::move(limits);
  if (process.oom_score_adj) out["oomScoreAdj"] = *process.oom_score_adj;
  return out;
}

json::array hook_list(const std::vector<Hook>& hooks) {
  json::array out;
  for (const Hook& hook : hooks) {
    json::object one = {{"path", hook.path}, {"args", texts(hook.args)}, {"env", texts(hook.env)}};
    if (hook.timeout_s > 0) one["timeout"] = hook.timeout_s;
    out.push_back(std::move(one));
  }
  return out;
}

json::object hooks_json(const Hooks& hooks) {
  return {{"prestart", hook_list(hooks.prestart)},
          {"createRuntime", hook_list(hooks.create_runtime)},
          {"createContainer", hook_list(hooks.create_container)},
          {"startContainer", hook_list(hooks.start_container)},
          {"poststart", hook_list(hooks.poststart)},
          {"poststop", hook_list(hooks.poststop)}};
}

json::object rule_json(const SeccompRule& rule) {
  json::array arguments;
  for (const SeccompArgument& argument : rule.arguments)
    arguments.push_back(
        json::object{{"index", argument.index},
                     {"value", argument.value},
                     {"valueTwo", argument.value_two},
                     {"op", name_of(seccomp_operator_words(), argument.operation)}});
  json::object out = {
      {"names", texts(rule.names)},
      {"action", name_of(seccomp_action_words(), static_cast<uint64_t>(rule.action))},
      {"args", std::move(arguments)}};
  if (rule.error_number) out["errnoRet"] = *rule.error_number;
  return out;
}

json::object seccomp_json(const Seccomp& seccomp) {
  json::object out = {{"defaultAction", name_of(seccomp_action_words(),
                                                static_cast<uint64_t>(seccomp.default_action))}};
  if (seccomp.default_error_number) out["defaultErrnoRet"] = *seccomp.default_error_number;
  json::array architectures;
  for (const uint32_t architecture : seccomp.architectures)
    architectures.emplace_back(name_of(seccomp_architecture_words(), architecture));
  out["architectures"] = std::move(architectures);
  json::array flags;
  for (const Word& word : seccomp_flag_words())
    if ((seccomp.flags & word.number) != 0) flags.emplace_back(word.name);
  out["flags"] = std::move(flags);
  if (!seccomp.listener_path.empty()) out["listenerPath"] = seccomp.listener_path;
  if (!seccomp.listener_metadata.empty()) out["listenerMetadata"] = seccomp.listener_metadata;
  json::array rules;
  for (const SeccompRule& rule : seccomp.rules) rules.push_back(rule_json(rule));
  out["syscalls"] = std::move(rules);
  return out;
}

}  // namespace

std::string spec_text(const Spec& spec) {
  json::array namespaces;
  for (const Namespace& ns : spec.namespaces) {
    json::object one = {{"type", name_of(namespace_words(), ns.flag)}};
    if (!ns.path.empty()) one["path"] = ns.path;
    namespaces.push_back(std::move(one));
  }
  json::object linux_part = {{"namespaces", std::move(namespaces)}};
  if (spec.seccomp) linux_part["seccomp"] = seccomp_json(*spec.seccomp);
  constexpr unsigned long kLinux32 = 8;
  if (spec.personality)
    linux_part["personality"] = {{"domain", *spec.personality == kLinux32 ? "LINUX32" : "LINUX"}};
  json::object out = {{"ociVersion", spec.version.empty() ? "1.2.0" : spec.version},
                      {"root", {{"path", spec.root_path}}},
                      {"hooks", hooks_json(spec.hooks)},
                      {"linux", std::move(linux_part)}};
  if (spec.process) out["process"] = process_json(*spec.process);
  return json::serialize(out);
}

}  // namespace kist::bundle
