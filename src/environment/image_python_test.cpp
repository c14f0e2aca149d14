#include "environment/image_python.h"

#include <elf.h>
#include <gmock/gmock.h>

#include <cstring>
#include <map>

#include "debian/elf.h"
#include "os/files.h"

namespace kist::environment {
namespace {

// A dynamic ELF file for x86-64 (or another machine) that needs these libraries, with `tail` behind.
std::string elf(const std::vector<std::string>& needed, const std::string& tail = "", uint16_t machine = EM_X86_64) {
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_DYN;
  header.e_machine = machine;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof header;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  std::string strings(1, '\0');
  std::vector<Elf64_Dyn> dynamic;
  for (const std::string& name : needed) {
    dynamic.push_back({.d_tag = DT_NEEDED, .d_un = {.d_val = strings.size()}});
    strings += name + '\0';
  }
  const uint64_t dynamic_at = sizeof header + 2 * sizeof(Elf64_Phdr);
  const uint64_t dynamic_size = (dynamic.size() + 2) * sizeof(Elf64_Dyn);
  dynamic.push_back({.d_tag = DT_STRTAB, .d_un = {.d_ptr = dynamic_at + dynamic_size}});
  dynamic.push_back({.d_tag = DT_NULL, .d_un = {.d_val = 0}});
  const uint64_t size = dynamic_at + dynamic_size + strings.size();
  Elf64_Phdr load = {};
  load.p_type = PT_LOAD;
  load.p_filesz = load.p_memsz = size;
  Elf64_Phdr place = {};
  place.p_type = PT_DYNAMIC;
  place.p_offset = place.p_vaddr = dynamic_at;
  place.p_filesz = place.p_memsz = dynamic_size;
  std::string out(reinterpret_cast<const char*>(&header), sizeof header);
  out.append(reinterpret_cast<const char*>(&load), sizeof load);
  out.append(reinterpret_cast<const char*>(&place), sizeof place);
  out.append(reinterpret_cast<const char*>(dynamic.data()), dynamic_size);
  return out + strings + std::string(1, '\0') + tail + '\0';
}

const std::string kGlibc = "x GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.\nCopyright";
const std::string kMusl("musl libc (x86_64)\nVersion %s\n\0" "1.2.5\0x", 38);

// A root file system of texts.
class FakeImage {
 public:
  FakeImage& file(const std::string& path, const std::string& content, uint32_t mode = 0755) {
    store::Entry entry;
    entry.path = path;
    entry.mode = mode;
    entry.object = oci::Sha256::of(content);
    entry.size_bytes = content.size();
    contents_[entry.object->string()] = content;
    entries_.push_back(std::move(entry));
    return *this;
  }
  FakeImage& link(const std::string& path, const std::string& target) {
    store::Entry entry;
    entry.path = path;
    entry.kind = store::Kind::symlink;
    entry.mode = 0777;
    entry.target = target;
    entries_.push_back(std::move(entry));
    return *this;
  }
  FakeImage& folder(const std::string& path, uint32_t mode) {
    store::Entry entry;
    entry.path = path;
    entry.kind = store::Kind::folder;
    entry.mode = mode;
    entries_.push_back(std::move(entry));
    return *this;
  }
  // "3.11 at /usr/bin/python3.11, glibc 2.36", or the error's innermost frame.
  std::string found(const std::string& path = "", const std::string& named = "", const std::string& wanted = "") const {
    const store::Tree tree = *store::Tree::make(entries_);
    const ReadEntry read = [&](const store::Entry& entry) { return contents_.at(entry.object->string()); };
    const auto got = find_image_python({.tree = tree, .read = read, .platform = "linux/amd64", .path = path,
                                        .named = named, .wanted = wanted});
    if (!got) return got.error().frames().front();
    return got->version + " at " + got->program + ", " + got->libc;
  }

 private:
  std::vector<store::Entry> entries_;
  std::map<std::string, std::string> contents_;
};

std::string program(const std::string& version) { return elf({"libc.so.6"}, version); }

FakeImage debian() {
  return FakeImage()
      .file("usr/bin/python3.11", program("3.11.2"))
      .link("usr/bin/python3", "python3.11")
      .link("bin", "usr/bin")
      .file("usr/lib/python3.11/os.py", "", 0644)
      .file("usr/lib/x86_64-linux-gnu/libc.so.6", kGlibc)
      .link("lib", "usr/lib");
}

TEST(ImagePythonTest, WhereImagesHaveIt) {
  EXPECT_EQ(debian().found(), "3.11.2 at /usr/bin/python3.11, glibc 2.36");
  // As the official ones: its own build, the version in a header, beside Debian's.
  FakeImage official = debian();
  official.file("usr/local/bin/python3.12", elf({"libpython3.12.so.1.0", "libc.so.6"}))
      .link("usr/local/bin/python3", "python3.12")
      .link("usr/local/bin/python", "python3")
      .file("usr/local/include/python3.12/patchlevel.h", "#define PY_VERSION \"3.12.7\"\n", 0644)
      .file("usr/local/lib/python3.12/os.py", "", 0644);
  EXPECT_EQ(official.found("/usr/local/bin:/usr/bin:/bin"), "3.12.7 at /usr/local/bin/python3.12, glibc 2.36");
  // What the project asks for comes before what comes first, and what is named before both.
  EXPECT_EQ(official.found("/usr/local/bin:/usr/bin", "", "3.11"), "3.11.2 at /usr/bin/python3.11, glibc 2.36");
  EXPECT_EQ(official.found("/usr/local/bin", "/bin/python3"), "3.11.2 at /usr/bin/python3.11, glibc 2.36");
  // Conda's: no version in the program's name, that in its library; Fedora's: lib64.
  FakeImage conda = FakeImage()
      .file("opt/conda/bin/python", elf({"libc.so.6"}))
      .file("opt/conda/lib/python3.10/os.py", "", 0644)
      .file("opt/conda/lib/libpython3.10.so.1.0", std::string("\0" "3.10.9\0", 8))
      .file("lib64/libc.so.6", kGlibc);
  EXPECT_EQ(conda.found("relative:/opt/conda/bin"), "3.10.9 at /opt/conda/bin/python, glibc 2.36");
  FakeImage fedora = FakeImage()
      .file("usr/bin/python3.13", program("3.13.0rc2"))
      .link("usr/bin/python3", "/usr/bin/python3.13")
      .file("usr/lib64/python3.13/os.py", "", 0644)
      .file("usr/lib64/libc.so.6", kGlibc);
  EXPECT_EQ(fedora.found(), "3.13.0rc2 at /usr/bin/python3.13, glibc 2.36");
  FakeImage alpine = FakeImage()
      .file("usr/bin/python3.12", elf({"libpython3.12.so.1.0", "libc.musl-x86_64.so.1"}))
      .link("usr/bin/python3", "python3.12")
      .file("usr/lib/python3.12/os.py", "", 0644)
      .file("lib/ld-musl-x86_64.so.1", kMusl);
  EXPECT_EQ(alpine.found(), "3.12 at /usr/bin/python3.12, musl 1.2");
}

TEST(ImagePythonTest, ScriptsAndVirtualEnvironmentsLeadOn) {
  FakeImage image = debian();
  image.file("root/.pyenv/shims/python3", "#!/bin/sh\nexec pyenv\n").link("opt/venv/bin/python3", "/usr/bin/python3");
  EXPECT_EQ(image.found("/root/.pyenv/shims:/usr/bin"), "3.11.2 at /usr/bin/python3.11, glibc 2.36");
  EXPECT_EQ(image.found("/opt/venv/bin"), "3.11.2 at /usr/bin/python3.11, glibc 2.36");
}

TEST(ImagePythonTest, Refusals) {
  EXPECT_EQ(FakeImage().file("bin/sh", "").found("/usr/bin:/bin"), "there is no python3 on its PATH (/usr/bin:/bin)");
  EXPECT_EQ(debian().found("", "/opt/python"), "there is no program '/opt/python' in it");
  EXPECT_EQ(FakeImage().file("usr/bin/python3", "#!/bin/sh\n").found(),
            "'/usr/bin/python3' is a script, and no interpreter itself");
  EXPECT_EQ(FakeImage().file("usr/bin/python3", "text", 0644).found("/usr/bin"),
            "there is no python3 on its PATH (/usr/bin)");
  EXPECT_EQ(FakeImage().file("usr/bin/pypy3.10", program("")).link("usr/bin/python3", "pypy3.10").found(),
            "'/usr/bin/pypy3.10' is PyPy, and kist's environments are of CPython");
  EXPECT_EQ(FakeImage().file("usr/bin/python3.13t", program("")).link("usr/bin/python3", "python3.13t").found(),
            "'/usr/bin/python3.13t' is free-threaded, which kist does not support yet");
  EXPECT_EQ(FakeImage().file("usr/bin/python3.11", program("")).link("usr/bin/python3", "python3.11").found(),
            "'/usr/bin/python3.11' has no standard library beside it, want /usr/lib/python3.11/os.py");
  EXPECT_EQ(FakeImage().file("usr/bin/python3", elf({"libc.so.6"}, "", EM_AARCH64)).found(),
            "'/usr/bin/python3' is for linux/arm64, want linux/amd64");
  FakeImage is_static = FakeImage().file("usr/bin/python3.11", elf({})).file("usr/lib/python3.11/os.py", "");
  EXPECT_EQ(is_static.found("", "/usr/bin/python3.11"),
            "'/usr/bin/python3.11' is linked with no C library, so no wheel with compiled code could be used");
  FakeImage bare = FakeImage().file("usr/bin/python3.11", program("3.11.2")).file("usr/lib/python3.11/os.py", "");
  EXPECT_EQ(bare.found("", "/usr/bin/python3.11"), "there is no C library in it, neither glibc nor musl");
  for (const char* path : {"python3.11", "opt/a b/bin/python3.11", "opt/a\nb/bin/python3.11", "opt/\xc3\xa9/bin/python3.11"}) {
    FakeImage odd = debian();
    odd.file(path, program("3.11.2")).file("opt/a b/lib/python3.11/os.py", "").file("opt/\xc3\xa9/lib/python3.11/os.py", "");
    EXPECT_THAT(odd.found("", std::string("/") + path), testing::HasSubstr("cannot be named in a lock: ")) << path;
    // Another one on the PATH is taken.
    EXPECT_EQ(odd.found(os::parent_of(std::string("/") + path) + ":/usr/bin"), "3.11.2 at /usr/bin/python3.11, glibc 2.36") << path;
  }
  FakeImage hidden = FakeImage()
      .file("root/python/bin/python3.11", program("3.11.2"))
      .file("root/python/lib/python3.11/os.py", "")
      .folder("root", 0700);
  EXPECT_EQ(hidden.found("", "/root/python/bin/python3.11"),
            "'/root/python/bin/python3.11' is for its owner alone: '/root' has mode 700");
}

TEST(ImagePythonTest, VersionsOfLibraries) {
  EXPECT_EQ(glibc_version(kGlibc), "2.36");
  EXPECT_EQ(glibc_version("GNU C Library (GNU libc) stable release version 2.17, by Roland"), "2.17");
  EXPECT_EQ(glibc_version("GNU C Library (x) development release version 2.41.9000."), "2.41");
  for (const char* none :
       {"", "GNU C Library (", "GNU C Library (x) stable release version 2.", "release version 2.36"})
    EXPECT_EQ(glibc_version(none), "") << none;
  EXPECT_EQ(musl_version(kMusl), "1.2");
  EXPECT_EQ(musl_version(std::string("musl libc\0" "1.2.4_git20230717\0", 29)), "1.2");
  EXPECT_EQ(musl_version(std::string("musl libc\0" "1.1.24\0", 17)), "1.1");
  EXPECT_EQ(musl_version(std::string("musl libc\0" "1.x\0" "1.2", 17)), "");
  EXPECT_EQ(musl_version(std::string("other\0" "1.2.5\0", 12)), "");
}

}  // namespace
}  // namespace kist::environment
