// The parts that reading a configuration is made of; used by spec_*.cpp and seccomp_profile.cpp.
#pragma once

#include <span>

#include "bundle/json_value.h"
#include "bundle/spec.h"
#include "bundle/spec_words.h"

namespace kist::bundle {

/// The number of the word that `json` must be; `kind` is "a namespace".
uint64_t read_word(const Value& json, std::span<const Word> words, std::string_view kind);
void read_id_maps(const Value& json, std::vector<IdMap>& out);
void read_linux(const Value& json, Spec& spec);
void read_resource_fields(const Value& json, Resources& resources);
void read_seccomp_rule(const Value& json, SeccompRule& rule);
void read_seccomp(const Value& json, std::optional<Seccomp>& out);

}  // namespace kist::bundle
