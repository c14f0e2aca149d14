#include "debian/elf.h"

#include <elf.h>

#include <cstring>

#include "base/text.h"

namespace kist::debian {
namespace {

constexpr size_t kMaxNeeded = 4096;
constexpr uint32_t kIsaNeeded = 0xc0008002;  // GNU_PROPERTY_X86_ISA_1_NEEDED.

// A checked load: false when it lies outside the file. Every offset in here comes from the file.
template <class T>
bool load(std::string_view bytes, uint64_t at, T& value) {
  if (at > bytes.size() || bytes.size() - at < sizeof value) return false;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return true;
}

std::string_view piece(std::string_view bytes, uint64_t at, uint64_t size) {
  if (at > bytes.size() || bytes.size() - at < size) return {};
  return bytes.substr(at, size);
}

struct Elf32 {
  using Header = Elf32_Ehdr;
  using Program = Elf32_Phdr;
  using Dynamic = Elf32_Dyn;
  static constexpr size_t kAlign = 4;
};
struct Elf64 {
  using Header = Elf64_Ehdr;
  using Program = Elf64_Phdr;
  using Dynamic = Elf64_Dyn;
  static constexpr size_t kAlign = 8;
};

// GNU property note: a list of (type, size, data), each padded.
uint32_t isa_of_properties(std::string_view properties, size_t align) {
  while (properties.size() >= 8) {
    uint32_t type = 0;
    uint32_t size = 0;
    load(properties, 0, type);
    load(properties, 4, size);
    uint32_t value = 0;
    if (type == kIsaNeeded && size == 4 && load(properties, 8, value)) return value;
    const uint64_t step = 8 + ((uint64_t{size} + align - 1) / align) * align;
    if (step > properties.size()) return 0;
    properties.remove_prefix(step);
  }
  return 0;
}

uint32_t isa_of_notes(std::string_view notes, size_t align) {
  while (notes.size() >= 12) {
    Elf32_Nhdr header;
    load(notes, 0, header);
    const uint64_t name_size = (uint64_t{header.n_namesz} + 3) / 4 * 4;
    const uint64_t data_at = 12 + name_size;
    const std::string_view data = piece(notes, data_at, header.n_descsz);
    if (header.n_type == NT_GNU_PROPERTY_TYPE_0 &&
        piece(notes, 12, 4) == std::string_view("GNU\0", 4))
      return isa_of_properties(data, align);
    const uint64_t step = data_at + (uint64_t{header.n_descsz} + align - 1) / align * align;
    if (step > notes.size()) return 0;
    notes.remove_prefix(step);
  }
  return 0;
}

template <class Kind>
struct Reader {
  std::string_view bytes;
  typename Kind::Header header{};
  std::vector<typename Kind::Program> programs;

  bool open() {
    if (!load(bytes, 0, header) || header.e_phentsize != sizeof(typename Kind::Program))
      return false;
    for (size_t i = 0; i < header.e_phnum; ++i) {
      typename Kind::Program program;
      if (!load(bytes, uint64_t{header.e_phoff} + i * sizeof program, program)) return false;
      programs.push_back(program);
    }
    return true;
  }

  // Where a virtual address lies in the file.
  std::optional<uint64_t> offset_of(uint64_t address) const {
    for (const auto& program : programs) {
      if (program.p_type != PT_LOAD || address < program.p_vaddr) continue;
      const uint64_t inside = address - program.p_vaddr;
      if (inside < program.p_filesz) return program.p_offset + inside;
    }
    return std::nullopt;
  }

  std::string string_at(uint64_t table, uint64_t index) const {
    if (index > bytes.size() || table > bytes.size() - index) return {};
    const std::string_view rest = bytes.substr(table + index);
    const size_t end = rest.find('\0');
    return end == std::string_view::npos || end > 4096 ? std::string()
                                                       : std::string(rest.substr(0, end));
  }

  void read_dynamic(const typename Kind::Program& program, ElfFacts& facts) const {
    std::optional<uint64_t> strings;
    std::optional<uint64_t> soname;
    std::vector<uint64_t> needed;
    typename Kind::Dynamic item;
    for (uint64_t at = 0; at + sizeof item <= program.p_filesz; at += sizeof item) {
      if (!load(bytes, program.p_offset + at, item) || item.d_tag == DT_NULL) break;
      if (item.d_tag == DT_STRTAB) strings = offset_of(item.d_un.d_ptr);
      if (item.d_tag == DT_SONAME) soname = item.d_un.d_val;
      if (item.d_tag == DT_NEEDED && needed.size() < kMaxNeeded) needed.push_back(item.d_un.d_val);
    }
    if (!strings) return;
    if (soname) facts.soname = string_at(*strings, *soname);
    for (const uint64_t index : needed) facts.needed.push_back(string_at(*strings, index));
  }

  ElfFacts facts() const {
    ElfFacts facts;
    facts.machine = header.e_machine;
    facts.type = header.e_type;
    facts.flags = header.e_flags;
    facts.is_64bit = Kind::kAlign == 8;
    for (const auto& program : programs) {
      if (program.p_type == PT_DYNAMIC) {
        facts.dynamic = true;
        read_dynamic(program, facts);
      }
      if (program.p_type == PT_GNU_PROPERTY)
        facts.isa_level =
            isa_of_notes(piece(bytes, program.p_offset, program.p_filesz), Kind::kAlign);
    }
    return facts;
  }
};

template <class Kind>
std::optional<ElfFacts> read_kind(std::string_view bytes) {
  Reader<Kind> reader{bytes};
  if (!reader.open()) return std::nullopt;
  return reader.facts();
}

}  // namespace

std::optional<ElfFacts> read_elf(std::string_view bytes) {
  if (bytes.size() < EI_NIDENT || !bytes.starts_with(ELFMAG) || bytes[EI_DATA] != ELFDATA2LSB)
    return std::nullopt;
  if (bytes[EI_CLASS] == ELFCLASS64) return read_kind<Elf64>(bytes);
  if (bytes[EI_CLASS] == ELFCLASS32) return read_kind<Elf32>(bytes);
  return std::nullopt;
}

std::string elf_line(const ElfFacts& facts) {
  std::string out = fmt::format("{} {} {} {} {} {} {}", facts.machine, facts.type, facts.flags,
                                facts.isa_level, facts.is_64bit ? 64 : 32, facts.dynamic ? 1 : 0,
                                facts.soname.empty() ? "-" : percent_encode(facts.soname));
  for (const std::string& name : facts.needed) {
    out += ' ';
    out += percent_encode(name);
  }
  return out;
}

Result<ElfFacts> parse_elf_line(std::string_view line) {
  const std::vector<std::string_view> words = split(line, ' ');
  if (words.size() < 7) return Error(Code::corrupt, "'{}' has too few words", printable(line));
  uint64_t numbers[6];
  for (size_t i = 0; i < 6; ++i) {
    const auto number = parse_number(words[i]);
    if (!number || *number > UINT32_MAX)
      return Error(Code::corrupt, "'{}' is not a number", printable(words[i]));
    numbers[i] = *number;
  }
  ElfFacts facts;
  facts.machine = static_cast<uint16_t>(numbers[0]);
  facts.type = static_cast<uint16_t>(numbers[1]);
  facts.flags = static_cast<uint32_t>(numbers[2]);
  facts.isa_level = static_cast<uint32_t>(numbers[3]);
  facts.is_64bit = numbers[4] == 64;
  facts.dynamic = numbers[5] != 0;
  for (size_t i = 6; i < words.size(); ++i) {
    auto name = percent_decode(words[i]);
    if (!name) return Error(Code::corrupt, "'{}' is not percent-encoded", printable(words[i]));
    if (i > 6) facts.needed.push_back(std::move(*name));
    if (i == 6 && words[i] != "-") facts.soname = std::move(*name);
  }
  return facts;
}

}  // namespace kist::debian
