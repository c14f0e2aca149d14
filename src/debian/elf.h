// What the dynamic linker's cache wants to know of an ELF file, read from hostile bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kist::debian {

struct ElfFacts {
  uint16_t machine = 0;   // EM_*.
  uint16_t type = 0;      // ET_DYN, ET_EXEC.
  uint32_t flags = 0;     // e_flags.
  uint32_t isa_level = 0; // GNU_PROPERTY_X86_ISA_1_NEEDED, 0 when absent.
  bool is_64bit = true;
  bool dynamic = false;   // Has a PT_DYNAMIC.
  std::string soname;
  std::vector<std::string> needed;

  bool operator==(const ElfFacts&) const = default;
};

/// Empty when these are not the bytes of a little-endian ELF file, or when they are damaged: a
/// package may hold such files (tests of tools do), and the linker's cache just skips them.
std::optional<ElfFacts> read_elf(std::string_view bytes);

/// One line, without a newline; and back.
std::string elf_line(const ElfFacts& facts);
Result<ElfFacts> parse_elf_line(std::string_view line);

}  // namespace kist::debian
