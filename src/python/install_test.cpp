// Longer than most files: one test for each of the 19 rules of install.h, over the same wheels.
#include "python/install.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "archive/zip_forge.h"
#include "os/files.h"
#include "python/record.h"
#include "store/memory_sink.h"

namespace kist::python {
namespace {

using archive::ForgedEntry;

constexpr std::string_view kSite = "opt/kist/lib/python3.11/site-packages/";

// The files that every wheel has, then those of the test; RECORD is right unless the test has its
// own.
std::vector<ForgedEntry> wheel_with(std::vector<ForgedEntry> files) {
  const auto has = [&](std::string_view name) {
    for (const ForgedEntry& file : files)
      if (file.name == name) return true;
    return false;
  };
  if (!has("demo-1.0.dist-info/WHEEL"))
    files.push_back({.name = "demo-1.0.dist-info/WHEEL",
                     .content = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"});
  if (!has("demo-1.0.dist-info/METADATA"))
    files.push_back({.name = "demo-1.0.dist-info/METADATA",
                     .content = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n\nA text.\n"});
  if (!has("demo-1.0.dist-info/RECORD")) {
    std::vector<RecordRow> rows = {{"demo-1.0.dist-info/RECORD", "", std::nullopt}};
    for (const ForgedEntry& file : files)
      rows.push_back(
          {file.name, record_hash(oci::Sha256::of(file.content)), file.content.size()});
    files.push_back({.name = "demo-1.0.dist-info/RECORD", .content = write_record(rows)});
  }
  return files;
}

class InstallTest : public testing::Test {
 protected:
  Result<InstalledWheel> install(const std::vector<ForgedEntry>& entries) {
    const os::Fd fd(::memfd_create("wheel", MFD_CLOEXEC));
    EXPECT_TRUE(os::write_all(fd, archive::forge_zip(entries)).has_value());
    return install_wheel(fmt::format("/proc/self/fd/{}", fd.get()), identity_, target_, sink_,
                         workers_);
  }
  // The innermost message; "" when the wheel was installed.
  std::string complaint(const std::vector<ForgedEntry>& entries) {
    const auto got = install(entries);
    return got ? "" : got.error().frames().front();
  }
  std::string content(const InstalledWheel& wheel, const std::string& path) {
    const store::Entry* entry = wheel.tree.find(path);
    if (entry == nullptr || !entry->object) return "(missing)";
    return sink_.content(*entry->object).value_or("(not kept)");
  }
  static std::string listing(const store::Tree& tree) {
    std::string out;
    for (const store::Entry& entry : tree.entries())
      if (entry.kind == store::Kind::file) out += fmt::format("{:o} {}\n", entry.mode, entry.path);
    return out;
  }

  WheelIdentity identity_{.file_name = "demo-1.0-py3-none-any.whl", .name = "", .version = ""};
  InstallTarget target_;
  store::MemorySink sink_;
  os::Workers workers_{1};
};

TEST_F(InstallTest, SpreadsAWheel) {
  const auto got = install(wheel_with({
      {.name = "demo/__init__.py", .content = "x = 1\n"},
      {.name = "demo/tool", .content = "#!/bin/sh\n", .unix_mode = 0100700},
      {.name = "demo/secret", .content = "s", .unix_mode = 0104600},
      {.name = "demo-1.0.data/purelib/pure.py", .content = "p"},
      {.name = "demo-1.0.data/platlib/plat.so", .content = "b", .unix_mode = 0100755},
      {.name = "demo-1.0.data/scripts/run", .content = "#!python -u\nprint()\n"},
      {.name = "demo-1.0.data/scripts/pywin", .content = "#!pythonw\nimport x\n"},
      {.name = "demo-1.0.data/scripts/raw", .content = "#!/bin/sh\necho\n"},
      {.name = "demo-1.0.data/scripts/cmd.exe", .content = "MZ"},
      {.name = "demo-1.0.data/scripts/cmd-script.py", .content = "old"},
      {.name = "demo-1.0.data/headers/demo.h", .content = "h"},
      {.name = "demo-1.0.data/data/share/demo/d.txt", .content = "d"},
      {.name = "demo-1.0.data/data/lib64/x.so", .content = "l"},
      {.name = "demo-1.0.dist-info/entry_points.txt",
       .content = "[console_scripts]\ncmd = demo:main\n"},
      {.name = "demo-1.0.dist-info/licenses/LICENSE", .content = "free"},
      {.name = "empty/", .content = "", .unix_mode = 040700},
  }));
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_THAT(got->warnings, testing::ElementsAre());
  EXPECT_EQ(listing(got->tree),
            "755 opt/kist/bin/cmd\n"
            "755 opt/kist/bin/pywin\n"
            "755 opt/kist/bin/raw\n"
            "755 opt/kist/bin/run\n"
            "644 opt/kist/include/site/python3.11/demo/demo.h\n"
            "644 opt/kist/lib/python3.11/site-packages/demo/__init__.py\n"
            "644 opt/kist/lib/python3.11/site-packages/demo/secret\n"
            "755 opt/kist/lib/python3.11/site-packages/demo/tool\n"
            "644 opt/kist/lib/python3.11/site-packages/demo-1.0.dist-info/INSTALLER\n"
            "644 opt/kist/lib/python3.11/site-packages/demo-1.0.dist-info/METADATA\n"
            "644 opt/kist/lib/python3.11/site-packages/demo-1.0.dist-info/RECORD\n"
            "644 opt/kist/lib/python3.11/site-packages/demo-1.0.dist-info/WHEEL\n"
            "644 opt/kist/lib/python3.11/site-packages/demo-1.0.dist-info/entry_points.txt\n"
            "644 opt/kist/lib/python3.11/site-packages/demo-1.0.dist-info/licenses/LICENSE\n"
            "755 opt/kist/lib/python3.11/site-packages/plat.so\n"
            "644 opt/kist/lib/python3.11/site-packages/pure.py\n"
            "644 opt/kist/lib/x.so\n"
            "644 opt/kist/share/demo/d.txt\n");
  EXPECT_EQ(content(*got, "opt/kist/bin/run"), "#!/opt/kist/bin/python\nprint()\n");
  EXPECT_EQ(content(*got, "opt/kist/bin/pywin"), "#!/opt/kist/bin/python\nimport x\n");
  EXPECT_EQ(content(*got, "opt/kist/bin/raw"), "#!/bin/sh\necho\n");
  EXPECT_THAT(content(*got, "opt/kist/bin/cmd"), testing::HasSubstr("from demo import main\n"));
  EXPECT_EQ(content(*got, fmt::format("{}demo-1.0.dist-info/INSTALLER", kSite)), "kist\n");
  for (const store::Entry& entry : got->tree.entries()) {
    EXPECT_EQ(entry.mtime_s, store::kTreeTime);
    EXPECT_EQ(entry.uid, 0u);
    if (entry.kind == store::Kind::folder) {
      EXPECT_EQ(entry.mode, 0755u) << entry.path;
    }
  }
}

TEST_F(InstallTest, RecordTellsWhatIsThere) {
  const auto got = install(wheel_with({
      {.name = "a.py", .content = ""},
      {.name = "demo-1.0.data/scripts/run", .content = "#!python\n"},
      {.name = "demo-1.0.data/data/lib/python3.11/up.txt", .content = "u"},
      {.name = "demo-1.0.data/data/lib/upper.txt", .content = "u"},
      {.name = "demo-1.0.data/data/etc/x", .content = "e"},
  }));
  ASSERT_TRUE(got.has_value()) << got.error().render();
  const auto rows = parse_record(content(*got, fmt::format("{}demo-1.0.dist-info/RECORD", kSite)));
  ASSERT_TRUE(rows.has_value());
  std::vector<std::string> paths;
  for (const RecordRow& row : *rows) paths.push_back(row.path);
  EXPECT_THAT(paths, testing::ElementsAre(
                         "../../../bin/run", "../../../etc/x", "../../upper.txt", "../up.txt",
                         "a.py", "demo-1.0.dist-info/INSTALLER", "demo-1.0.dist-info/METADATA",
                         "demo-1.0.dist-info/RECORD", "demo-1.0.dist-info/WHEEL"));
  EXPECT_EQ((*rows)[0].hash, record_hash(oci::Sha256::of("#!/opt/kist/bin/python\n")));
  EXPECT_EQ((*rows)[7], (RecordRow{"demo-1.0.dist-info/RECORD", "", std::nullopt}));
}

TEST_F(InstallTest, HealsARecordThatLies) {
  const auto got = install(wheel_with(
      {{.name = "a.py", .content = "a"},
       {.name = "b.py", .content = "b"},
       {.name = "c.py", .content = "c"},
       {.name = "demo-1.0.dist-info/RECORD.jws", .content = "{}"},
       {.name = "demo-1.0.dist-info/RECORD",
        .content = "/a.py,sha256=AAAA,1\nb.py,md5=unknown,1\nghost.py,,\n"}}));
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_THAT(got->warnings,
              testing::ElementsAre(
                  "RECORD does not list 'c.py' and 2 more; it was written anew",
                  "RECORD has the wrong hash of 'a.py'; it was written anew",
                  "RECORD lists what the wheel lacks: 'ghost.py'; it was written anew"));
  const std::string record = content(*got, fmt::format("{}demo-1.0.dist-info/RECORD", kSite));
  EXPECT_THAT(record, testing::HasSubstr("\ndemo-1.0.dist-info/RECORD.jws,,\n"));
  EXPECT_THAT(record, testing::HasSubstr(fmt::format(
                          "a.py,{},1\nb.py,{},1\nc.py,{},1\n", record_hash(oci::Sha256::of("a")),
                          record_hash(oci::Sha256::of("b")), record_hash(oci::Sha256::of("c")))));

  const auto broken = install(wheel_with({{.name = "demo-1.0.dist-info/RECORD", .content = "\"x"}}));
  ASSERT_TRUE(broken.has_value()) << broken.error().render();
  EXPECT_THAT(broken->warnings,
              testing::ElementsAre("RECORD cannot be read and was written anew: line 1 has a quote "
                                   "that does not end"));
}

TEST_F(InstallTest, LeavesOutWhatOnlyAnInstallerWrites) {
  const auto got = install(wheel_with({
      {.name = "demo-1.0.dist-info/INSTALLER", .content = "somebody\n"},
      {.name = "demo-1.0.dist-info/REQUESTED", .content = ""},
      {.name = "demo-1.0.dist-info/direct_url.json", .content = "{}"},
  }));
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_EQ(content(*got, fmt::format("{}demo-1.0.dist-info/INSTALLER", kSite)), "kist\n");
  EXPECT_EQ(got->tree.find(fmt::format("{}demo-1.0.dist-info/REQUESTED", kSite)), nullptr);
  EXPECT_EQ(got->tree.find(fmt::format("{}demo-1.0.dist-info/direct_url.json", kSite)), nullptr);
  EXPECT_EQ(got->warnings.size(), 3u);
}

TEST_F(InstallTest, DirectUrlIsPartOfTreeAndKey) {
  const oci::Digest wheel = oci::Sha256::of("wheel");
  const std::string plain = package_key(wheel, target_);
  target_.direct_url_json = R"({"url": "file:///x.whl"})";
  const auto got = install(wheel_with({}));
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(content(*got, fmt::format("{}demo-1.0.dist-info/direct_url.json", kSite)),
            R"({"url": "file:///x.whl"})");
  EXPECT_NE(package_key(wheel, target_), plain);
  InstallTarget empty_url;
  empty_url.direct_url_json = "";
  EXPECT_NE(package_key(wheel, empty_url), plain);
  InstallTarget other_python;
  other_python.python_minor = "3.12";
  EXPECT_NE(package_key(wheel, other_python), plain);
  EXPECT_NE(package_key(oci::Sha256::of("other"), InstallTarget()), plain);
  // Pinned: a new key makes every store install every wheel again, which must be meant.
  EXPECT_EQ(plain, "d8538b27a01f6ec84614d319de14bbde54d3aca85f4c22921d4e2bdcd403c88b");
}

TEST_F(InstallTest, PipGetsTheScriptsOfItsPython) {
  identity_.file_name = "pip-24.0-py3-none-any.whl";
  target_.python_minor = "3.13";
  const auto got = install({
      {.name = "pip-24.0.dist-info/WHEEL", .content = "Wheel-Version: 1.0\n"},
      {.name = "pip-24.0.dist-info/METADATA", .content = "Name: pip\nVersion: 24.0\n"},
      {.name = "pip-24.0.dist-info/RECORD", .content = ""},
      {.name = "pip-24.0.dist-info/entry_points.txt",
       .content = "[console_scripts]\npip = pip:main\npip3 = pip:main\npip3.9 = pip:main\n"},
  });
  ASSERT_TRUE(got.has_value()) << got.error().render();
  std::string scripts;
  for (const store::Entry& entry : got->tree.entries())
    if (entry.path.starts_with("opt/kist/bin/")) scripts += entry.path.substr(13) + " ";
  EXPECT_EQ(scripts, "pip pip3 pip3.13 ");
}

TEST_F(InstallTest, RefusesHostileWheels) {
  const auto file = [](std::string name, uint32_t mode = 0100644) {
    return std::vector<ForgedEntry>{{.name = std::move(name), .content = "x", .unix_mode = mode}};
  };
  const auto scripts = [](std::string text) {
    return std::vector<ForgedEntry>{
        {.name = "demo-1.0.dist-info/entry_points.txt", .content = std::move(text)}};
  };
  const struct {
    const char* why;
    std::vector<ForgedEntry> files;
    std::string message;
  } cases[] = {
      {"escape", file("../evil"), "entry '../evil' has a name that contains '..'"},
      {"absolute", file("/etc/x"), "entry '/etc/x' has a name that is absolute"},
      {"symlink", file("link", 0120777), "entry 'link' is a symbolic link, want a file"},
      {"device", file("null", 0020666), "entry 'null' is a special file, want a file"},
      {"folder by mode", file("odd", 0040755), "entry 'odd' is a folder, want a file"},
      {"linked folder", {{.name = "dir/", .content = "", .unix_mode = 0120777}},
       "entry 'dir' is a symbolic link, want a folder"},
      {"second metadata", file("other-2.dist-info/METADATA"),
       "two folders of metadata, 'other-2.dist-info' and 'demo-1.0.dist-info'"},
      {"case trick", file("demo-1.0.DIST-INFO/METADATA"),
       "the folder 'demo-1.0.DIST-INFO' is misspelt, want '.dist-info'"},
      {"second data",
       {{.name = "demo-1.0.data/data/a", .content = "1"},
        {.name = "Demo-1.0.data/data/b", .content = "2"}},
       "two folders of data, 'demo-1.0.data' and 'Demo-1.0.data'"},
      {"kind of data", file("demo-1.0.data/stdlib/os.py"),
       "entry 'demo-1.0.data/stdlib/os.py' is data of the kind 'stdlib', want purelib, platlib, "
       "headers, scripts or data"},
      {"no kind of data", file("demo-1.0.data/file"),
       "entry 'demo-1.0.data/file' is data of no kind"},
      {"script in a folder", file("demo-1.0.data/scripts/a/b"),
       "script 'demo-1.0.data/scripts/a/b' is in a folder"},
      {"python replaced", file("demo-1.0.data/scripts/python3"),
       "entry 'demo-1.0.data/scripts/python3' would replace the environment's own"},
      {"python replaced by data", file("demo-1.0.data/data/bin/python"),
       "entry 'demo-1.0.data/data/bin/python' would replace the environment's own"},
      {"environment replaced", file("demo-1.0.data/data/pyvenv.cfg"),
       "entry 'demo-1.0.data/data/pyvenv.cfg' would replace the environment's own"},
      {"code in an entry point", scripts("[console_scripts]\nx = os:system('x')\n"),
       "script 'x' calls 'os:system('x')', want 'module:function'"},
      {"file and folder", {{.name = "a", .content = "1"}, {.name = "a/b", .content = "2"}},
       "'opt/kist/lib/python3.11/site-packages/a' is a file and cannot hold "
       "'opt/kist/lib/python3.11/site-packages/a/b'"},
      {"two contents", {{.name = "a", .content = "1"}, {.name = "a", .content = "2"}},
       "'opt/kist/lib/python3.11/site-packages/a' occurs twice with different entries"},
      {"two contents by data",
       {{.name = "a", .content = "1"}, {.name = "demo-1.0.data/purelib/a", .content = "2"}},
       "'opt/kist/lib/python3.11/site-packages/a' occurs twice with different entries"},
      {"two modes",
       {{.name = "a", .content = "1"}, {.name = "a", .content = "1", .unix_mode = 0100755}},
       "'opt/kist/lib/python3.11/site-packages/a' occurs twice with different entries"},
      {"wrong crc", {{.name = "a", .content = "1", .central_crc = 1, .local_crc = 1}},
       "entry 'a': its content has CRC 83dcefb7, want 00000001"},
      {"other name",
       {{.name = "demo-1.0.dist-info/METADATA", .content = "Name: evil\nVersion: 1.0\n"}},
       "METADATA names 'evil', the file name 'demo'"},
      {"path for a name",
       {{.name = "demo-1.0.dist-info/METADATA", .content = "Name: ../x\nVersion: 1.0\n"}},
       "METADATA has the name '../x', which no package can have"},
      {"other version",
       {{.name = "demo-1.0.dist-info/METADATA", .content = "Name: demo\nVersion: 1.1\n"}},
       "METADATA has version '1.1', the file name '1.0'"},
      {"format 2", {{.name = "demo-1.0.dist-info/WHEEL", .content = "Wheel-Version: 2.0\n"}},
       "a wheel of format 2.0, only 1 is known"},
      {"no format", {{.name = "demo-1.0.dist-info/WHEEL", .content = "Generator: x\n"}},
       "WHEEL has the Wheel-Version '', want '1.0'"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    EXPECT_EQ(complaint(wheel_with(c.files)), c.message);
  }
}

TEST_F(InstallTest, RefusesWhatIsNoWheel) {
  EXPECT_EQ(complaint({}), "there is no .dist-info folder: not a wheel");
  EXPECT_EQ(complaint({{.name = "a.py", .content = ""}}),
            "there is no .dist-info folder: not a wheel");
  EXPECT_EQ(complaint({{.name = "demo-1.0.dist-info/RECORD", .content = ""}}),
            "there is no 'demo-1.0.dist-info/WHEEL'");
  identity_.file_name = "demo-1.0.zip";
  EXPECT_EQ(complaint(wheel_with({})),
            "'demo-1.0.zip' is not a wheel's name: it does not end with '.whl'");
}

TEST_F(InstallTest, ErrorsNameTheWheel) {
  const auto got = install(wheel_with({{.name = "../evil", .content = ""}}));
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().message(), "installing wheel 'demo-1.0-py3-none-any.whl'");
}

TEST_F(InstallTest, NamesAndVersionsMayBeSpeltOtherwise) {
  const auto with = [](std::string name, std::string version) {
    return wheel_with({{.name = "demo-1.0.dist-info/METADATA",
                        .content = fmt::format("Name: {}\nVersion: {}\n", name, version)}});
  };
  EXPECT_EQ(complaint(with("Demo", "1.0.0")), "");
  EXPECT_EQ(complaint(with("demo", "1.0+cpu")), "");
  identity_.file_name = "demo-1.0+cpu-py3-none-any.whl";
  EXPECT_EQ(complaint(with("demo", "1.0")), "METADATA has version '1.0', the file name '1.0+cpu'");
  identity_ = {.file_name = "demo-1.0-py3-none-any.whl", .name = "other", .version = ""};
  EXPECT_EQ(complaint(with("demo", "1.0")), "METADATA names 'demo', the lock 'other'");
  identity_ = {.file_name = "demo-1.0-py3-none-any.whl", .name = "demo", .version = "2"};
  EXPECT_EQ(complaint(with("demo", "1.0")), "METADATA has version '1.0', the lock '2'");
}

TEST_F(InstallTest, DataMayBeSpeltOtherwise) {
  const auto got = install(wheel_with({{.name = "Demo-1.0.data/scripts/run", .content = "#!python\n"},
                                       {.name = "other.data/scripts/x", .content = "1"}}));
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_NE(got->tree.find("opt/kist/bin/run"), nullptr);
  EXPECT_NE(got->tree.find(std::string(kSite) + "other.data/scripts/x"), nullptr);
}

TEST_F(InstallTest, EqualDuplicatesAreOneFile) {
  const auto got = install(wheel_with({{.name = "a", .content = "1"}, {.name = "./a", .content = "1"}}));
  ASSERT_TRUE(got.has_value()) << got.error().render();
  EXPECT_NE(got->tree.find(std::string(kSite) + "a"), nullptr);
}

TEST_F(InstallTest, LargeScriptsAreRewrittenToo) {
  std::string large = "#!python\n";
  large.resize(archive::ZipFile::kWholeBytes + 100, 'x');
  const auto got = install(
      wheel_with({{.name = "demo-1.0.data/scripts/big", .content = large, .deflate = false}}));
  ASSERT_TRUE(got.has_value()) << got.error().render();
  const std::string made = content(*got, "opt/kist/bin/big");
  EXPECT_TRUE(made == "#!/opt/kist/bin/python\n" + large.substr(9));
  EXPECT_THAT(got->warnings, testing::ElementsAre());
}

// Goal: one wheel, one tree. Method: any order of entries, any number of threads.
TEST_F(InstallTest, TheTreeDoesNotDependOnOrderOrThreads) {
  std::vector<ForgedEntry> files;
  for (int i = 0; i < 100; ++i)
    files.push_back({.name = fmt::format("p{}/m{}.py", i % 7, i), .content = std::to_string(i)});
  auto entries = wheel_with(files);
  const auto first = install(entries);
  std::reverse(entries.begin(), entries.end());
  os::Workers many(3);
  const os::Fd fd(::memfd_create("wheel", MFD_CLOEXEC));
  ASSERT_TRUE(os::write_all(fd, archive::forge_zip(entries)).has_value());
  const auto second = install_wheel(fmt::format("/proc/self/fd/{}", fd.get()), identity_, target_,
                                    sink_, many);
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_EQ(first->tree.digest(), second->tree.digest());
}

TEST_F(InstallTest, RefusesMoreEntriesThanAWheelHas) {
  std::vector<ForgedEntry> files;
  EXPECT_EQ(kWheelLimits.entries, 300'000u);
  // The count is refused before the directory is read, so the rest of the archive may be a stub.
  const os::Fd fd(::memfd_create("wheel", MFD_CLOEXEC));
  const std::string zip =
      archive::forge_zip(wheel_with({}), {.zip64 = true, .zip64_entries = 1'000'000});
  ASSERT_TRUE(os::write_all(fd, zip).has_value());
  const auto got = install_wheel(fmt::format("/proc/self/fd/{}", fd.get()), identity_, target_,
                                 sink_, workers_);
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().frames().front(), "1000000 entries, more than the limit of 300000");
}

// A sink that fails at one of its calls, so that each can be the one.
class FailingSink final : public store::ObjectSink {
 public:
  explicit FailingSink(int fail_at) : left_(fail_at) {}
  Result<store::Object> put(std::string_view bytes, uint32_t mode) override {
    if (--left_ == 0) return Error(Code::unavailable, "no space left");
    return memory_.put(bytes, mode);
  }
  Result<std::unique_ptr<store::ObjectWriter>> begin(uint32_t mode) override {
    if (--left_ == 0) return Error(Code::unavailable, "no space left");
    return memory_.begin(mode);
  }
  bool met_its_fault() const { return left_ <= 0; }

 private:
  int left_;
  store::MemorySink memory_{false};
};

TEST_F(InstallTest, AFullDiskIsReportedWhereverItFillsUp) {
  const os::Fd fd(::memfd_create("wheel", MFD_CLOEXEC));
  const std::string large(archive::ZipFile::kWholeBytes + 1, 'x');
  const std::string zip = archive::forge_zip(wheel_with(
      {{.name = "a", .content = "1"},
       {.name = "large", .content = large, .deflate = false},
       {.name = "demo-1.0.dist-info/entry_points.txt", .content = "[gui_scripts]\nx = m:f\n"}}));
  ASSERT_TRUE(os::write_all(fd, zip).has_value());
  os::Workers none(0);
  for (int fail_at = 1;; ++fail_at) {
    SCOPED_TRACE(fail_at);
    FailingSink sink(fail_at);
    const auto got =
        install_wheel(fmt::format("/proc/self/fd/{}", fd.get()), identity_, target_, sink, none);
    EXPECT_EQ(got.has_value(), !sink.met_its_fault());
    if (got) {
      EXPECT_EQ(fail_at, 9);  // Five files, the script, INSTALLER, RECORD: eight calls.
      break;
    }
    EXPECT_EQ(got.error().code(), Code::unavailable);
  }
}

TEST_F(InstallTest, RefusesABadTarget) {
  for (const char* prefix : {"", "/", "opt/kist", "/opt/kist/", "/it's", "/a\nb"}) {
    target_.prefix = prefix;
    EXPECT_THAT(complaint(wheel_with({})), testing::HasSubstr("is no absolute path")) << prefix;
  }
  target_ = {};
  target_.python_minor = "3";
  EXPECT_EQ(complaint(wheel_with({})), "python version '3', want one like '3.11'");
}

TEST(HeadersTest, ReadsWhatToolsWrite) {
  const auto headers = Headers::parse(
      "\xef\xbb\xbfName: a\r\nname: b\nEmpty:\nLong: one\n  two\n\nBody: not a header\n");
  ASSERT_TRUE(headers.has_value());
  EXPECT_EQ(headers->get("NAME"), "a");
  EXPECT_THAT(headers->all("Name"), testing::ElementsAre("a", "b"));
  EXPECT_EQ(headers->get("empty"), "");
  EXPECT_EQ(headers->get("long"), "one\ntwo");
  EXPECT_EQ(headers->get("body"), "");
}

}  // namespace
}  // namespace kist::python
