#include "debian/configure.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "debian/deb_fixture.h"
#include "debian/overlaps.h"
#include "debian/scripts.h"
#include "os/files.h"
#include "store/memory_sink.h"

namespace kist::debian {
namespace {

// A handful of packages that look like Debian's own, with a sink that holds their contents.
class Packages {
 public:
  store::MemorySink sink;
  std::vector<InstalledDeb> all;
  ContentReader reader = [this](const store::Entry& entry) -> Result<std::string> {
    return *sink.content(*entry.object);
  };

  void add(const std::string& name, const std::vector<FixtureItem>& data,
           const std::vector<FixtureItem>& control = {}, const std::string& fields = "") {
    const std::string text = fmt::format(
        "Package: {}\nVersion: 1-1\nArchitecture: amd64\nMaintainer: x\n{}Description: a test\n", name,
        fields);
    const Deb deb = unpack_deb(fixture_deb(text, data, control), {}, sink).value();
    DebMeta meta = read_meta(deb.meta, reader).value();
    all.push_back({{name, "1-1", "amd64", oci::Sha256::of(name), 1, "pool/" + name, "trixie"},
                   deb.files,
                   std::move(meta)});
  }
  void add_script(const std::string& name, const std::string& postinst) {
    add(name, {{"./usr/share/" + name + "/x", name}},
        {{"./postinst", "#!/bin/sh\n" + postinst, AE_IFREG, 0755, "", 0, 0}});
  }
  Result<Assembled> run(const JobRunner& runner = {}) {
    return assemble(all, {}, {}, reader, sink, runner);
  }
  std::string text(const Assembled& base, const std::string& path) {
    const store::Entry* entry = base.tree.find(path);
    if (entry == nullptr) return "(none)";
    return entry->kind == store::Kind::symlink ? "-> " + entry->target
                                               : sink.content(*entry->object).value_or("(?)");
  }
};

void add_base(Packages& packages) {
  packages.add("base-passwd", {{"./usr/share/base-passwd/passwd.master", "root:*:0:0:root:/root:/bin/bash\n"},
                               {"./usr/share/base-passwd/group.master", "root:*:0:\nmail:*:8:\nshadow:*:42:\n"}});
  packages.add("base-files",
               {folder_item("./"), {"./root", "", AE_IFDIR, 0700, "", 0, 0}, folder_item("./var/run"),
                {"./usr/share/base-files/profile", "profile\n"},
                {"./usr/share/base-files/dot.bashrc", "bashrc\n"},
                {"./etc/dpkg/origins/debian", "Vendor: Debian\n"}});
  packages.add("tzdata", {{"./usr/share/zoneinfo/Etc/UTC", "TZif"}});
  packages.add("dash", {{"./bin/dash", "ELF", AE_IFREG, 0755, "", 0, 0}, link_item("./bin/sh", "dash"),
                        {"./usr/share/debianutils/shells.d/dash", "/bin/dash\n"}});
  packages.add("debianutils", {{"./usr/share/debianutils/shells", "# shells\n/bin/sh\n"}});
}

TEST(AssembleTest, MakesWhatEverySystemHas) {
  Packages packages;
  add_base(packages);
  const auto base = packages.run();
  ASSERT_TRUE(base.has_value()) << base.error().render();
  EXPECT_EQ(packages.text(*base, "bin"), "-> usr/bin");
  EXPECT_EQ(packages.text(*base, "lib"), "-> usr/lib");
  EXPECT_EQ(packages.text(*base, "lib64"), "(none)") << "no package brings anything there";
  EXPECT_EQ(packages.text(*base, "usr/bin/sh"), "-> dash");
  EXPECT_EQ(packages.text(*base, "etc/passwd"), "root:x:0:0:root:/root:/bin/bash\n");
  EXPECT_EQ(packages.text(*base, "etc/profile"), "profile\n");
  EXPECT_EQ(packages.text(*base, "root/.bashrc"), "bashrc\n");
  EXPECT_EQ(packages.text(*base, "etc/localtime"), "-> /usr/share/zoneinfo/Etc/UTC");
  EXPECT_EQ(packages.text(*base, "etc/timezone"), "Etc/UTC\n");
  EXPECT_EQ(packages.text(*base, "etc/shells"), "# shells\n/bin/sh\n/bin/dash\n/usr/bin/dash\n");
  EXPECT_EQ(packages.text(*base, "etc/machine-id"), "");
  EXPECT_EQ(packages.text(*base, "etc/dpkg/origins/default"), "-> debian");
  EXPECT_EQ(packages.text(*base, "var/run"), "-> /run") << "instead of the package's folder";
  EXPECT_EQ(base->tree.find("root")->mode, 0700u);
  EXPECT_EQ(base->tree.find("tmp")->mode, 01777u);
  EXPECT_EQ(base->tree.find("etc/shadow")->mode, 0640u);
  EXPECT_EQ(base->tree.find("etc/shadow")->gid, 42u);
  EXPECT_EQ(base->tree.find("var/mail")->gid, 8u);
  EXPECT_TRUE(base->ran.empty());
}

TEST(AssembleTest, WritesADatabaseThatDpkgReads) {
  Packages packages;
  packages.add("conf", {{"./etc/conf", "hello\n"}},
               {{"./conffiles", "/etc/conf\n/etc/gone\n"},
                {"./md5sums", "x  y\n"},
                {"./triggers", "interest-noawait /usr/share/x\ninterest named\nactivate ldconfig\n"},
                {"./postinst", "#!/bin/sh\ntrue\n", AE_IFREG, 0755, "", 0, 0}});
  packages.add("same", {}, {{"./shlibs", "libx 1 same\n"}}, "Multi-Arch: same\n");
  const auto base = packages.run();
  ASSERT_TRUE(base.has_value()) << base.error().render();
  EXPECT_EQ(packages.text(*base, "var/lib/dpkg/status"),
            "Package: conf\nStatus: install ok installed\nVersion: 1-1\nArchitecture: amd64\n"
            "Maintainer: x\nConffiles:\n /etc/conf b1946ac92492d2347c6235b4d2611184\n"
            " /etc/gone newconffile\nDescription: a test\n\n"
            "Package: same\nStatus: install ok installed\nVersion: 1-1\nArchitecture: amd64\n"
            "Maintainer: x\nMulti-Arch: same\nDescription: a test\n\n");
  EXPECT_EQ(packages.text(*base, "var/lib/dpkg/info/conf.list"), "/etc/conf\n");
  EXPECT_EQ(packages.text(*base, "var/lib/dpkg/info/conf.md5sums"), "x  y\n");
  EXPECT_EQ(base->tree.find("var/lib/dpkg/info/conf.postinst")->mode, 0755u);
  EXPECT_EQ(packages.text(*base, "var/lib/dpkg/info/same:amd64.shlibs"), "libx 1 same\n");
  EXPECT_EQ(packages.text(*base, "var/lib/dpkg/triggers/File"), "/usr/share/x conf/noawait\n");
  EXPECT_EQ(packages.text(*base, "var/lib/dpkg/triggers/named"), "conf\n");
  EXPECT_EQ(packages.text(*base, "var/lib/dpkg/info/format"), "1\n");
}

// Goal: the order in which packages come changes nothing.
TEST(AssembleTest, OrderOfPackagesDoesNotMatter) {
  Packages one;
  add_base(one);
  Packages two;
  add_base(two);
  std::reverse(two.all.begin(), two.all.end());
  EXPECT_EQ(one.run()->tree.digest(), two.run()->tree.digest());
}

TEST(AssembleTest, ScriptsThatWeCanReplaceBecomeData) {
  Packages packages;
  add_base(packages);
  packages.add_script("simple",
                      "set -e\nif [ \"$1\" = configure ]; then\n"
                      "  adduser --system --group --home /var/lib/simple simple\n"
                      "  mkdir -p -m 750 /var/lib/simple\n  chown simple:mail /var/lib/simple\n"
                      "  ln -sf /usr/share/simple/x /etc/simple-link\n  touch /etc/simple.lock\n"
                      "  chmod 600 /etc/simple.lock\n  rm -f /etc/never-there /etc/never/*\nfi\n"
                      "update-alternatives --install /usr/bin/tool tool /usr/share/simple/x 10\n"
                      "deb-systemd-helper enable x.service\nldconfig\n");
  const auto base = packages.run();
  ASSERT_TRUE(base.has_value()) << base.error().render();
  EXPECT_NE(packages.text(*base, "etc/passwd").find("simple:x:100:100::/var/lib/simple:"), std::string::npos);
  const store::Entry* folder = base->tree.find("var/lib/simple");
  ASSERT_NE(folder, nullptr);
  EXPECT_EQ(folder->mode, 0750u);
  EXPECT_EQ(folder->uid, 100u);
  EXPECT_EQ(folder->gid, 8u);
  EXPECT_EQ(packages.text(*base, "etc/simple-link"), "-> /usr/share/simple/x");
  EXPECT_EQ(base->tree.find("etc/simple.lock")->mode, 0600u);
  EXPECT_EQ(packages.text(*base, "usr/bin/tool"), "-> /etc/alternatives/tool");
}

TEST(AssembleTest, OtherScriptsNeedAContainer) {
  Packages packages;
  packages.add_script("odd", "make-index --of /usr/share/odd\nrm -f /usr/share/odd/x\n");
  packages.add_script("perl", "");
  packages.all[1].meta.control["postinst"] = "#!/usr/bin/perl\nprint 1;\n";
  const auto refused = packages.run();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), Code::unsupported);
  EXPECT_EQ(refused.error().message(),
            "scripts of odd, perl must run, and there is no container for them");

  ConfigureJob seen;
  const JobRunner runner = [&](const ConfigureJob& job) -> Result<JobResult> {
    seen = job;
    store::TreeBuilder changed(packages.sink);
    TRY(changed.file("var/cache/odd.index", 0644, "index"));
    TRY(changed.file("var/log/odd.log", 0644, "now"));
    TRY(changed.file("var/lib/dpkg/status", 0644, "spoilt"));
    store::Tree tree = TRY(std::move(changed).finish());
    return JobResult{std::move(tree), {"usr/share/odd/x", "usr/sbin/policy-rc.d"}};
  };
  const auto base = packages.run(runner);
  ASSERT_TRUE(base.has_value()) << base.error().render();
  EXPECT_EQ(seen.packages, (std::vector<std::string>{"odd", "perl"}));
  EXPECT_EQ(seen.reasons, (std::vector<std::string>{"odd: make-index --of /usr/share/odd",
                                                    "odd: rm -f /usr/share/odd/x",
                                                    "perl: postinst is not a shell script"}));
  EXPECT_NE(seen.script.find("\nrun odd amd64 odd\nrun perl amd64 perl\n"), std::string::npos);
  EXPECT_EQ(packages.text(*base, "var/cache/odd.index"), "index");
  EXPECT_EQ(packages.text(*base, "var/log/odd.log"), "(none)");
  EXPECT_NE(packages.text(*base, "var/lib/dpkg/status"), "spoilt");
  EXPECT_EQ(packages.text(*base, "usr/share/odd/x"), "(none)") << "the script removed it";
  EXPECT_EQ(base->ran, seen.reasons);
}

TEST(AssembleTest, ScriptsRunAfterWhatTheyDependOn) {
  Packages packages;
  for (const char* name : {"a", "b", "c"}) packages.add_script(name, "something\n");
  const auto depend = [&](size_t at, const std::string& on) {
    packages.all[at].meta.control["control"] += "Depends: " + on + "\n";
  };
  depend(0, "b (>= 1) | nothing, virtual-c");
  packages.all[2].meta.control["control"] += "Provides: virtual-c (= 1)\n";
  depend(1, "a");  // A cycle: entered at the first.
  std::string script;
  ASSERT_TRUE(packages
                  .run([&](const ConfigureJob& job) -> Result<JobResult> {
                    script = job.script;
                    return JobResult{};
                  })
                  .has_value());
  EXPECT_NE(script.find("\nrun c amd64 c\nrun b amd64 b\nrun a amd64 a\n"), std::string::npos) << script;
}

// A branch that may not be taken must not have happened before the script runs.
TEST(AssembleTest, WhatAScriptWillMakeItselfIsNotThereBefore) {
  Packages packages;
  packages.add_script("odd",
                      "if [ \"$(make-up-my-mind)\" = all ]; then\n  ln -s /usr/share/all /etc/odd.gen\n"
                      "else\n  touch /etc/odd.empty\nfi\nmkdir -p /var/lib/odd\nsomething\n");
  bool seen = false;
  const auto base = packages.run([&](const ConfigureJob& job) -> Result<JobResult> {
    seen = true;
    EXPECT_EQ(job.root.find("etc/odd.gen"), nullptr);
    EXPECT_EQ(job.root.find("etc/odd.empty"), nullptr);
    EXPECT_NE(job.root.find("var/lib/odd"), nullptr);
    return JobResult{};
  });
  ASSERT_TRUE(base.has_value()) << base.error().render();
  EXPECT_TRUE(seen);
}

TEST(AssembleTest, ToolsAreInTheContainerOnly) {
  Packages packages;
  packages.add_script("odd", "something\n");
  Packages tools;
  tools.add("perl-base", {{"./usr/bin/perl", "ELF", AE_IFREG, 0755, "", 0, 0}});
  const ContentReader reader = [&](const store::Entry& entry) -> Result<std::string> {
    const auto own = packages.sink.content(*entry.object);
    return own ? *own : *tools.sink.content(*entry.object);
  };
  bool in_container = false;
  const auto base = assemble(packages.all, tools.all, {}, reader, packages.sink,
                             [&](const ConfigureJob& job) -> Result<JobResult> {
                               in_container = job.root.find("usr/bin/perl") != nullptr;
                               return JobResult{};
                             });
  ASSERT_TRUE(base.has_value()) << base.error().render();
  EXPECT_TRUE(in_container);
  EXPECT_EQ(base->tree.find("usr/bin/perl"), nullptr);
}

TEST(OverlapsTest, ReplacesDiversionsAndFoldersDecide) {
  Packages packages;
  packages.add("old", {{"./usr/share/file", "old"}, {"./usr/bin/tool", "old"}, link_item("./usr/share/d", "e")});
  packages.add("new", {{"./usr/share/file", "new"}, folder_item("./usr/share/d"), {"./usr/share/d/x", "x"}}, {},
               "Replaces: old (<< 2)\n");
  packages.add("diverter", {{"./usr/bin/tool", "wrapper"}},
               {{"./preinst",
                 "#!/bin/sh\nif [ \"$1\" = install ]; then\n  dpkg-divert --package diverter --add "
                 "--rename --divert /usr/bin/tool.real /usr/bin/tool\nfi\n"}});
  const auto base = packages.run();
  ASSERT_TRUE(base.has_value()) << base.error().render();
  EXPECT_EQ(packages.text(*base, "usr/share/file"), "new");
  EXPECT_EQ(packages.text(*base, "usr/share/d/x"), "x");
  EXPECT_EQ(packages.text(*base, "usr/bin/tool"), "wrapper");
  EXPECT_EQ(packages.text(*base, "usr/bin/tool.real"), "old");
  EXPECT_EQ(packages.text(*base, "var/lib/dpkg/diversions"),
            "/usr/bin/tool\n/usr/bin/tool.real\ndiverter\n");
}

TEST(OverlapsTest, RealConflictNamesPathAndPackages) {
  Packages packages;
  packages.add("a", {{"./usr/x", "1"}});
  packages.add("b", {{"./usr/x", "2"}});
  const auto base = packages.run();
  ASSERT_FALSE(base.has_value());
  EXPECT_EQ(base.error().code(), Code::exists);
  EXPECT_EQ(base.error().message(), "the Debian packages 'a' and 'b' both bring '/usr/x'");
}

TEST(NormaliseTest, LeavesOutWhatDiffersFromRunToRun) {
  for (const char* path : {"var/log/x", "etc/passwd-", "var/cache/debconf/config.dat", "root/.cache/x",
                           "var/lib/dpkg/status", "etc/ld.so.cache", "tmp/x", "etc/x.dpkg-old"})
    EXPECT_TRUE(is_volatile(path)) << path;
  for (const char* path : {"usr/lib/x", "etc/fonts/x", "var/lib/dpkg/alternatives/awk", "etc/alternatives/awk",
                           "var/cache/fontconfig/x", "var/lib/x"})
    EXPECT_FALSE(is_volatile(path)) << path;
}

TEST(ScriptsTest, DebconfDefaults) {
  const auto defaults = debconf_defaults(
      "Template: a/b\nType: string\nDefault: x y\nDescription: d\n\nTemplate: a/c\nType: note\n");
  EXPECT_EQ(defaults.at("a/b"), "x y");
  EXPECT_EQ(defaults.at("a/c"), "");
}

}  // namespace
}  // namespace kist::debian
