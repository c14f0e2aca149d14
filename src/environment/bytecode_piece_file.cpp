// The plan as text: what the process that completes an environment later reads.
#include "base/text.h"
#include "environment/bytecode_piece.h"

namespace kist::environment {
namespace {

constexpr std::string_view kHeader = "kist-bytecode 2";

Error bad_line(size_t number) {
  return Error(Code::corrupt, "byte-code plan, line {}: not understood", number);
}

Result<BytecodePiece> decode_piece(const std::vector<std::string_view>& fields, size_t number) {
  if (fields.size() != 5) return bad_line(number);
  const oci::Digest sources = TRY(oci::Digest::parse(fields[2]));
  auto folder = percent_decode(fields[3]);
  auto label = percent_decode(fields[4]);
  if (!folder || !label) return bad_line(number);
  return BytecodePiece{.label = std::move(*label),
                       .name = std::string(fields[1]),
                       .sources = sources,
                       .folder = std::move(*folder)};
}

}  // namespace

std::string encode(const BytecodePlan& plan) {
  std::string out = fmt::format("{}\ncomplete {}\ntree {}\npython {} {}\n", kHeader, plan.complete_name,
                                plan.tree.string(), plan.python_minor, percent_encode(plan.python));
  for (const BytecodePiece& piece : plan.pieces)
    out += fmt::format("piece {} {} {} {}\n", piece.name, piece.sources.string(),
                       percent_encode(piece.folder), percent_encode(piece.label));
  return out + "end\n";
}

Result<BytecodePlan> decode_bytecode_plan(std::string_view text) {
  const auto all = lines(text);
  if (all.size() < 2 || all.front() != kHeader || all.back() != "end")
    return Error(Code::corrupt, "not a whole byte-code plan of this version");
  BytecodePlan plan;
  for (size_t i = 1; i + 1 < all.size(); ++i) {
    const auto fields = split(all[i], ' ');
    if (fields[0] == "piece") {
      BytecodePiece piece = TRY(decode_piece(fields, i + 1));
      plan.pieces.push_back(std::move(piece));
    } else if (fields[0] == "python") {
      const auto program = percent_decode(fields.back());
      if (fields.size() != 3 || !program) return bad_line(i + 1);
      plan.python_minor = fields[1];
      plan.python = *program;
    } else if (fields.size() != 2) {
      return bad_line(i + 1);
    } else if (fields[0] == "complete") {
      plan.complete_name = fields[1];
    } else if (fields[0] == "tree") {
      plan.tree = TRY(oci::Digest::parse(fields[1]));
    } else {
      return bad_line(i + 1);
    }
  }
  return plan;
}

}  // namespace kist::environment
