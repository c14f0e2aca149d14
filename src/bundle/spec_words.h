// The words of the runtime specification and the numbers of the kernel that they stand for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace kist::bundle {

struct Word {
  std::string_view name;
  uint64_t number;
};

std::span<const Word> namespace_words();      // CLONE_NEW*
std::span<const Word> rlimit_words();         // RLIMIT_*
std::span<const Word> capability_words();     // "CAP_CHOWN" … in the order of their numbers
std::span<const Word> propagation_words();    // MS_*
std::span<const Word> seccomp_action_words(); // SeccompAction
std::span<const Word> seccomp_operator_words();
std::span<const Word> seccomp_flag_words();
std::span<const Word> seccomp_architecture_words();
std::span<const Word> scheduler_policy_words();
std::span<const Word> scheduler_flag_words();
std::span<const Word> io_class_words();
/// The names of all mount options that have a meaning of their own.
std::span<const std::string_view> mount_option_names();

std::optional<uint64_t> number_of(std::span<const Word> words, std::string_view name);

}  // namespace kist::bundle
