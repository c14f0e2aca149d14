#include "debian/shell_trace.h"

#include <gtest/gtest.h>

namespace kist::debian {
namespace {

std::string shown(const std::vector<ShellEffect>& effects) {
  std::string out;
  for (const ShellEffect& effect : effects) {
    std::string line;
    for (const auto& word : effect.words) line += (line.empty() ? "" : " ") + word.value_or("?");
    for (const auto& path : effect.writes) line += " > " + path.value_or("?");
    out += line + "\n";
  }
  return out;
}

// What `postinst configure ""` does on a system with /usr/bin/there and /etc/folder.
std::string trace(const std::string& script) {
  ShellWorld world;
  world.arguments = {"configure", ""};
  world.variables = {{"DPKG_MAINTSCRIPT_ARCH", "amd64"}};
  world.defaults = {{"pkg/question", "answer"}};
  world.exists = [](const std::string& path) {
    return path == "/usr/bin/there" || path == "/etc/folder" || path == "/etc/file";
  };
  world.is_folder = [](const std::string& path) { return path == "/etc/folder"; };
  const auto effects = trace_shell(script, world);
  return effects ? shown(*effects) : "error: " + effects.error().message() + "\n";
}

TEST(ShellTraceTest, FollowsWhatIsKnownAndTakesBothWaysOtherwise) {
  const struct {
    const char* why;
    const char* script;
    const char* effects;
  } cases[] = {
      {"plain", "a b 'c d' \"e\"\\ f\n# x\ng\n", "a b c d e f\ng\n"},
      {"continued line", "a \\\n  b\n", "a b\n"},
      {"known condition", "if [ \"$1\" = configure ]; then a; else b; fi", "a\n"},
      {"else", "if [ \"$1\" = triggered ]; then a; elif false; then b; else c; fi", "c\n"},
      {"unknown condition", "if grep -q x /y; then a; else b; fi", "grep -q x /y\na\nb\n"},
      {"and, or", "true && a; false && b; true || c; false || d", "a\nd\n"},
      {"negation", "if ! [ -n \"$2\" ]; then a; fi", "a\n"},
      {"old test forms", "[ \"$1\" = configure -a -z \"$2\" ] && a; [ x = y -o 1 -gt 2 ] && b", "a\n"},
      {"files", "[ -d /etc/folder ] && a; [ -f /etc/folder ] && b; [ -e /etc/none ] || c; "
                "[ -x /usr/bin/there ] && d; [ -d /run/systemd/system ] && e",
       "a\nc\nd\n"},
      {"case", "case \"$1\" in configure|x) a;; abort-*) b;; *) c;; esac", "a\n"},
      {"case with parentheses", "case $1 in (configure) a;; (*) b;; esac", "a\n"},
      {"case that is not known", "case $(x) in a) a;; *) b;; esac", "a\nb\n"},
      {"exit ends", "a; exit 0; b", "a\n"},
      {"exit that may be", "if x; then exit 0; fi; b", "x\nb\n"},
      {"function", "f() { a \"$1\" $2; return; b; }\nf 1 2\n", "a 1 2\n"},
      {"function used before it is defined", "g() { f; }; f() { a; }; g", "a\n"},
      {"variables", "x=1; y=\"$x/2\"; a $y ${x} ${z:-none} ${y%/2}", "a 1/2 1 none 1\n"},
      {"variable set in a part that may not run", "x=1; if q; then x=2; fi; a $x", "q\na ?\n"},
      {"splitting", "x='1 2'; a $x \"$x\"", "a 1 2 1 2\n"},
      {"for", "for i in x y; do a $i; done", "a x\na y\n"},
      {"for over a pattern", "for i in /etc/*; do a $i; done", "a ?\n"},
      {"while", "while read x; do a $x; done", "a ?\na ?\n"},
      {"program that is there", "command -v there >/dev/null && a; which none && b", "a\n"},
      {"program by substitution", "if [ -x \"$(command -v there)\" ]; then a; fi; "
                                  "if [ -x \"`command -v none`\" ]; then b; fi",
       "a\n"},
      {"output of a function",
       "s() { echo \"--slave $1\"; }\nu --install $(s x; for i in 1 2; do s $i; done)\n",
       "u --install --slave x --slave 1 --slave 2\n"},
      {"output that is not known", "a $(date) b", "a ? b\n"},
      {"redirection", "a > /etc/x; b 2>&1 >/dev/null; echo y >> /etc/z", "a > /etc/x\nb\n > /etc/z\n"},
      {"group with redirection", "{ a; b; } > /etc/x", "a\nb\n > /etc/x\n"},
      {"here document", "cat > /x <<EOF\nif [ broken\nEOF\na\ncat <<-E2\n\tfoo\n\tE2\nb",
       "cat > /x\na\ncat\nb\n"},
      {"versions", "dpkg --compare-versions \"$2\" lt 1 && a; dpkg --compare-versions \"$2\" lt-nl 1 "
                   "&& b; dpkg --compare-versions 2 gt 1 && c",
       "a\nc\n"},
      {"debconf", ". /usr/share/debconf/confmodule\ndb_get pkg/question\na \"$RET\"\n", "a answer\n"},
      {"pipeline", "a | b", "a\nb\n"},
      {"subshell", "(a; exit 1); b", "a\nb\n"},
      {"arithmetic", "a $((1+2))", "a ?\n"},
      {"unset argument", "f() { [ \"$1\" = x ] && a; b; }; f $(date)", "a\nb\n"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    EXPECT_EQ(trace(c.script), c.effects);
  }
}

TEST(ShellTraceTest, RefusesWhatItDoesNotUnderstand) {
  EXPECT_EQ(trace("if true; then a\n"), "error: line 2 has '' where it is not understood\n");
  EXPECT_EQ(trace("a 'x\n"), "error: line 1 has an unfinished quote\n");
  EXPECT_EQ(trace("a $(x\n"), "error: line 2 has an unfinished substitution\n");
  EXPECT_EQ(trace("fi\n"), "error: line 1 has 'fi' where it is not understood\n");
}

// Hostile scripts end, whatever they do.
TEST(ShellTraceTest, BoundsDepthAndSteps) {
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += "if x; then ";
  EXPECT_EQ(trace(deep), "error: script is nested too deeply\n");
  EXPECT_EQ(trace("f() { f; }; f"), "error: script calls itself too deeply\n");
  std::string loops = "for a in 1 2 3 4 5 6 7 8 9; do ";
  std::string script;
  for (int i = 0; i < 9; ++i) script += loops;
  script += "x; ";
  for (int i = 0; i < 9; ++i) script += "done; ";
  EXPECT_EQ(trace(script), "error: script takes more than 20000 steps\n");
  EXPECT_EQ(trace("f() { echo $(f)$(f)$(f); }; x $(f)").substr(0, 2), "x ");
}

TEST(ShellTraceTest, RandomBytesNeverCrash) {
  const std::string good = "if [ \"$1\" = x ]; then\nfor i in a b; do c $(d) > e; done\nfi; case x in"
                           " (y) z;; esac <<E\nq\nE\n";
  uint32_t seed = 7;
  for (int round = 0; round < 5000; ++round) {
    std::string script = good;
    for (int i = 0; i < 3; ++i) {
      seed = seed * 1664525 + 1013904223;
      script[(seed >> 8) % script.size()] = "\"'`$(){};|&\n<>\\#\0x="[(seed >> 20) % 19];
    }
    static_cast<void>(trace(script));
  }
}

}  // namespace
}  // namespace kist::debian
