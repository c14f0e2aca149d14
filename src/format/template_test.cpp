#include "format/template.h"

#include <gtest/gtest.h>

#include "format/human.h"

namespace kist::format {
namespace {

namespace json = boost::json;

std::string rendered(std::string_view text) {
  const json::value value = json::parse(
      R"({"ID":"abc","Names":["a","b"],"Size":12,"Empty":[],"None":null,"Ok":true,
          "Config":{"Env":["A=1"],"Labels":{"z":"1","a.b":"x y"},"Deep":{"X":1.5},"Entrypoint":null,"Volumes":null},
          "Networks":{"lan":{"IPAddress":"10.0.0.2"}},"Huge":1e300})");
  const auto shape = Template::parse(text);
  if (!shape) return shape.error().message();
  const auto out = shape->render(value);
  return out ? *out : out.error().message();
}

TEST(TemplateTest, RendersAsGo) {
  const struct {
    const char* text;
    const char* want;
  } cases[] = {
      {"", ""},
      {"plain", "plain"},
      {"{{.ID}}:{{ .Size }}", "abc:12"},
      {"{{.Names}} {{.Config.Labels}}", "[a b] map[a.b:x y z:1]"},
      {"{{.None}}|{{.Config.Labels.nope}}|{{.Networks.wan.IPAddress}}", "<nil>|<no value>|<no value>"},
      {"{{.Config.Entrypoint}}|{{.Config.Volumes}}|{{.Config.Healthcheck}}", "[]|map[]|<nil>"},
      {"{{json .Config.Entrypoint}}|{{json .Config.Healthcheck}}", "null|null"},
      {"{{if .Config.Healthcheck}}a{{else}}b{{end}}{{with .Config.Labels.nope}}c{{end}}", "b"},
      {"<{{index .Config.Labels \"nope\"}}>{{index .Networks \"nope\"}}<{{index .None \"nope\"}}>", "<><nil><>"},
      {"{{json .Names}} {{json .ID}} {{.Config.Deep | json}}", "[\"a\",\"b\"] \"abc\" {\"X\":1.5E0}"},
      {"{{join .Names \", \"}} {{upper .ID}} {{lower \"AB\"}} {{title \"a b\"}}", "a, b ABC ab A B"},
      {"{{printf \"%s-%5d|%-5s|%05d|%q|%%\" .ID 7 \"x\" 42 \"y\"}}", "abc-    7|x    |00042|\"y\"|%"},
      {"{{printf \"%x %X %x %c%c%c%c %b\" 9007199254740993 255 .Huge 65 233 8364 55296 -5}}",
       "20000000000001 FF 7fffffffffffffff Aé€\xef\xbf\xbd -101"},
      {"{{.ID | printf \"%.2s\"}}", "ab"},
      {"{{if .Ok}}yes{{else}}no{{end}}", "yes"},
      {"{{if .Empty}}a{{else if eq .Size 12}}b{{else}}c{{end}}", "b"},
      {"{{if and .Ok (gt .Size 3) (not .Empty)}}x{{end}}", "x"},
      {"{{range .Names}}<{{.}}>{{end}}", "<a><b>"},
      {"{{range $i, $v := .Names}}{{$i}}={{$v}} {{end}}", "0=a 1=b "},
      {"{{range $k, $v := .Config.Labels}}{{$k}}={{$v};{{end}}", "template, offset 45: unexpected '}'"},
      {"{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a.b=x y;z=1;"},
      {"{{range .Empty}}x{{else}}none{{end}}", "none"},
      {"{{with .Config}}{{.Env}}{{$.ID}}{{end}}", "[A=1]abc"},
      {"{{$x := .ID}}{{$x}}{{$x = \"n\"}}{{$x}}", "abcn"},
      {"{{index .Config.Labels \"a.b\"}} {{index .Names 1}} {{(index .Names 0)}}", "x y b a"},
      {"{{len .Names}} {{slice .ID 1 2}} {{split \"a,b\" \",\"}} {{truncate .ID 2}}", "2 b [a b] ab"},
      {"a  {{- .ID -}}  b", "aabcb"},
      {"{{/* nothing */}}x{{\"}}\"}}", "x}}"},
      {"{{println .ID 3}}{{print 1 2 \"a\"}}", "abc 3\n1 2a"},
      {"{{`raw\\n`}}", "raw\\n"},
  };
  for (const auto& c : cases) EXPECT_EQ(rendered(c.text), c.want) << c.text;
}

TEST(TemplateTest, ErrorsSayWhatAndWhere) {
  EXPECT_EQ(rendered("x{{.ID"), "template, offset 1: '{{' is not closed");
  EXPECT_EQ(rendered("{{nope .ID}}"), "template, offset 6: function \"nope\" not defined");
  EXPECT_EQ(rendered("{{if .ID}}x"), "template, offset 2: no {{end}} for this");
  EXPECT_EQ(rendered("{{end}}"), "template, offset 2: unexpected {{end}}");
  EXPECT_EQ(rendered("{{.Id}}"), "template: can't evaluate field Id");
  EXPECT_EQ(rendered("{{.Config.Nope}}"), "template: map has no entry for key \"Nope\"");
  EXPECT_EQ(rendered("{{.Config.Healthcheck.Test}}"), "template: map has no entry for key \"Healthcheck\"");
  EXPECT_EQ(rendered("{{.None.X}}"), "template: nil pointer evaluating .X");
  EXPECT_EQ(rendered("{{index .None 0}}"), "template: index out of range: there is no list");
  EXPECT_EQ(rendered("{{.ID.X}}"), "template: can't evaluate field X of a text");
  EXPECT_EQ(rendered("{{}}"), "template, offset 2: a value is missing");
  EXPECT_EQ(rendered("{{index .Names 9}}"), "template: index out of range: 9 of 2");
  EXPECT_EQ(rendered("{{$nope}}"), "template: undefined variable \"$nope\"");
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "{{if .Ok}}";
  EXPECT_FALSE(Template::parse(deep).has_value());
  EXPECT_FALSE(Template::parse("{{" + std::string(1000, '(')).has_value());
}

TEST(TemplateTest, ListsAreTablesOrLines) {
  const Listing listing{.usual = "{{.ID}}\t{{.Name}}", .titles = {{"ID", "THING ID"}, {"Name", "NAME"}, {"Labels", "LABELS"}}};
  const std::vector<ListingRow> rows = {{{{"Name", "longer than ten"}, {"ID", "1"}, {"Labels", "a.b-c=x"}}, {{"a.b-c", "x"}}},
                                        {{{"Name", "é"}, {"ID", "2"}, {"Labels", ""}}, {}}};
  const auto shown = [&](const std::vector<ListingRow>& some, std::string_view shape) {
    const auto text = render_listing(listing, some, shape);
    return text ? *text : text.error().render();
  };
  // As docker: at least ten wide, and a title even above nothing.
  EXPECT_EQ(shown(rows, ""), "THING ID   NAME\n1          longer than ten\n2          é\n");
  EXPECT_EQ(shown(rows, "table"), shown(rows, ""));
  EXPECT_EQ(shown({}, "table {{.Name}}\\t{{.ID}}"), "NAME      THING ID\n");
  EXPECT_EQ(shown(rows, "table {{upper .Name}}\t{{.ID}}"),
            "NAME              THING ID\nLONGER THAN TEN   1\né                 2\n");
  EXPECT_EQ(shown(rows, "table {{.ID}}\t{{.Label \"a.b-c\"}}"), "THING ID   b c\n1          x\n2          \n");
  EXPECT_EQ(shown(rows, "{{.Label \"a.b-c\"}}:{{.ID}}"), "x:1\n:2\n");
  EXPECT_EQ(shown(rows, "json"),
            "{\"ID\":\"1\",\"Labels\":\"a.b-c=x\",\"Name\":\"longer than ten\"}\n"
            "{\"ID\":\"2\",\"Labels\":\"\",\"Name\":\"é\"}\n");
  EXPECT_NE(shown(rows, "table {{.Nope}}").find("field Nope"), std::string::npos);
}

TEST(TemplateTest, JsonIsIndentedAsDockerDoes) {
  EXPECT_EQ(indented(json::parse(R"([{"A":[1,"x"],"B":{},"C":null}])")),
            "[\n    {\n        \"A\": [\n            1,\n            \"x\"\n        ],\n        \"B\": {},\n"
            "        \"C\": null\n    }\n]");
}

TEST(HumanTest, AsDocker) {
  EXPECT_EQ(docker_size(0), "0B");
  EXPECT_EQ(docker_size(999), "999B");
  EXPECT_EQ(docker_size(1000), "1kB");
  EXPECT_EQ(docker_size(4'261'550), "4.26MB");
  EXPECT_EQ(docker_size(117'000'000), "117MB");
  EXPECT_EQ(docker_duration(0), "Less than a second");
  EXPECT_EQ(docker_duration(59), "59 seconds");
  EXPECT_EQ(docker_duration(61), "About a minute");
  EXPECT_EQ(docker_duration(3600), "About an hour");
  EXPECT_EQ(docker_duration(86'400 * 21), "3 weeks");
  EXPECT_EQ(parse_time("2024-01-18T01:04:14Z"), 1705539854);
  EXPECT_EQ(parse_time("2024-01-18T03:04:14.123456+02:00"), 1705539854);
  EXPECT_EQ(parse_time("yesterday"), std::nullopt);
  EXPECT_EQ(rfc3339(1705539854), "2024-01-18T01:04:14Z");
  EXPECT_EQ(docker_time(1705539854), "2024-01-18 01:04:14 +0000 UTC");
}

}  // namespace
}  // namespace kist::format
