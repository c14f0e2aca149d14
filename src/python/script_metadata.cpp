#include "python/script_metadata.h"

#include "base/text.h"
#include "python/requirements.h"
#include "toml/toml.h"
#include "python/versions.h"

namespace kist::python {
namespace {

constexpr size_t kMaxScriptBytes = 16u << 20;

bool is_content(std::string_view line) { return line == "#" || line.starts_with("# "); }

// The block's TOML. Its lines stand where they stand in the script, so that positions in messages
// are the script's; columns are two to the left.
struct Block {
  std::string toml;
  size_t end = 0;  // The line after the block.
};

// PEP 723: from "# /// script" to the last "# ///" before the comment ends.
std::optional<Block> block_at(const std::vector<std::string_view>& all, size_t start) {
  size_t close = 0;
  for (size_t i = start + 1; i < all.size() && is_content(all[i]); ++i)
    if (all[i] == "# ///") close = i;
  if (close == 0) return std::nullopt;
  Block out{.toml = std::string(start + 1, '\n'), .end = close + 1};
  for (size_t i = start + 1; i < close; ++i) {
    if (all[i].size() > 2) out.toml += all[i].substr(2);
    out.toml += '\n';
  }
  return out;
}

}  // namespace

Result<std::optional<ScriptMetadata>> read_script_metadata(std::string_view script,
                                                           std::string_view file) {
  if (script.size() > kMaxScriptBytes) return std::optional<ScriptMetadata>();
  const std::vector<std::string_view> all = lines(script);
  std::optional<Block> block;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i] != "# /// script") continue;
    auto found = block_at(all, i);
    if (!found) {
      return Error(Code::invalid, "{}:{}: the block '# /// script' has no end", printable(file),
                   i + 1)
          .hint("end it with the line `# ///`");
    }
    if (block)
      return Error(Code::invalid, "{}:{}: a second block '# /// script'", printable(file), i + 1);
    i = found->end - 1;
    block = std::move(found);
  }
  if (!block) return std::optional<ScriptMetadata>();
  const toml::Value root = TRY(toml::parse(block->toml, file));
  toml::Fields fields = TRY(toml::Fields::of(root, file));
  ScriptMetadata out;
  out.requires_python = TRY(fields.optional_string("requires-python"));
  TRY(VersionSpecifiers::parse(out.requires_python), "{}'requires-python'",
      fields.where("requires-python"));
  out.dependencies = TRY(fields.optional_strings("dependencies"));
  for (const std::string& text : out.dependencies)
    TRY(parse_requirement(text), "{}'dependencies'", fields.where("dependencies"));
  out.block = trim(block->toml);
  return std::optional<ScriptMetadata>(std::move(out));
}

}  // namespace kist::python
