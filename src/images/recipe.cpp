#include "images/recipe.h"

#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "archive/decompress.h"
#include "base/text.h"
#include "os/mapped_file.h"

namespace kist::images {
namespace {

using store::Entry;

constexpr std::string_view kMagic = "kist recipe 1\n";
constexpr char kLiteral = 'L';
constexpr char kContent = 'C';
constexpr int kLevel = 1;  // Headers shrink to a tenth at any level.
constexpr size_t kFlushBytes = 1u << 20;
constexpr uint64_t kMaxLiteralBytes = 1u << 20;  // Of one record; longer ones are several.
constexpr size_t kCompactAbove = 4u << 20;

void put_number(std::string& out, uint64_t value) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>((value >> (8 * i)) & 0xff);
}

uint64_t get_number(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return value;
}

struct FreeZstd {
  void operator()(ZSTD_CCtx* context) const { ::ZSTD_freeCCtx(context); }
};

}  // namespace

struct RecipeWriter::State {
  std::unique_ptr<store::ObjectWriter> out;
  std::unique_ptr<ZSTD_CCtx, FreeZstd> zstd;
  std::string records;  // To be compressed.

  uint64_t received = 0;    // Of the tar.
  uint64_t skip_until = 0;  // Bytes before this are content or were written.
  std::string kept;         // [received - kept.size() …, received), as far as it is not skipped.
  size_t used = 0;          // Of `kept`: written already.

  std::vector<Entry> contents;
  std::set<std::pair<oci::Digest, uint32_t>> known;

  Result<void> compress(ZSTD_EndDirective end) {
    ZSTD_inBuffer in = {records.data(), records.size(), 0};
    std::string buffer(::ZSTD_CStreamOutSize(), '\0');
    while (true) {
      ZSTD_outBuffer to = {buffer.data(), buffer.size(), 0};
      const size_t left = ::ZSTD_compressStream2(zstd.get(), &to, &in, end);
      KIST_ASSERT(::ZSTD_isError(left) == 0);
      if (to.pos > 0) TRY(out->write(std::string_view(buffer.data(), to.pos)));
      if (end == ZSTD_e_end ? left == 0 : in.pos == in.size) break;
    }
    records.clear();
    return {};
  }

  Result<void> flush_if_large() {
    return records.size() < kFlushBytes ? Result<void>() : compress(ZSTD_e_continue);
  }
};

RecipeWriter::RecipeWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
RecipeWriter::RecipeWriter(RecipeWriter&&) noexcept = default;
RecipeWriter& RecipeWriter::operator=(RecipeWriter&&) noexcept = default;
RecipeWriter::~RecipeWriter() = default;

Result<RecipeWriter> RecipeWriter::make(store::ObjectSink& sink) {
  auto state = std::make_unique<State>();
  state->out = TRY(sink.begin(0644));
  state->zstd.reset(::ZSTD_createCCtx());
  KIST_ASSERT(state->zstd != nullptr);
  ::ZSTD_CCtx_setParameter(state->zstd.get(), ZSTD_c_compressionLevel, kLevel);
  ::ZSTD_CCtx_setParameter(state->zstd.get(), ZSTD_c_checksumFlag, 1);
  state->records = kMagic;
  return RecipeWriter(std::move(state));
}

void RecipeWriter::see(std::string_view bytes) {
  State& s = *state_;
  const uint64_t start = s.received;
  s.received += bytes.size();
  if (s.skip_until >= s.received) return;
  if (s.skip_until > start) bytes.remove_prefix(s.skip_until - start);
  if (s.used > kCompactAbove || s.used == s.kept.size()) {
    s.kept.erase(0, s.used);
    s.used = 0;
  }
  s.kept += bytes;
}

Result<void> RecipeWriter::literal_until(uint64_t position) {
  State& s = *state_;
  while (s.skip_until < position) {
    const uint64_t kept_start = s.received - (s.kept.size() - s.used);
    KIST_ASSERT(kept_start == s.skip_until && position <= s.received);
    const uint64_t count = std::min(position - s.skip_until, kMaxLiteralBytes);
    s.records += kLiteral;
    put_number(s.records, count);
    s.records += std::string_view(s.kept).substr(s.used, count);
    s.used += count;
    s.skip_until += count;
    TRY(s.flush_if_large());
  }
  return {};
}

Result<void> RecipeWriter::content(const Entry& object) {
  State& s = *state_;
  s.records += kContent;
  put_number(s.records, object.mode);
  put_number(s.records, object.size_bytes);
  const auto& bytes = object.object->bytes();
  s.records.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  s.skip_until += object.size_bytes;
  s.used += std::min<uint64_t>(object.size_bytes, s.kept.size() - s.used);
  if (s.known.emplace(*object.object, object.mode & 0777).second) s.contents.push_back(object);
  return s.flush_if_large();
}

Result<store::Object> RecipeWriter::finish() {
  TRY(literal_until(state_->received));
  TRY(state_->compress(ZSTD_e_end));
  return state_->out->finish();
}

const std::vector<Entry>& RecipeWriter::contents() const { return state_->contents; }

namespace {

// Records from a stream of pieces.
class RecipeReader {
 public:
  explicit RecipeReader(archive::Source source) : source_(std::move(source)) {}

  Result<std::string> take(size_t count) {
    while (held_.size() - used_ < count) {
      const std::string_view piece = TRY(source_());
      if (piece.empty()) return Error(Code::corrupt, "a layer's recipe is cut off");
      held_.erase(0, used_);
      used_ = 0;
      held_ += piece;
    }
    std::string out = held_.substr(used_, count);
    used_ += count;
    return out;
  }

  Result<bool> at_end() {
    if (used_ < held_.size()) return false;
    const std::string_view piece = TRY(source_());
    held_ = piece;
    used_ = 0;
    return piece.empty();
  }

 private:
  archive::Source source_;
  std::string held_;
  size_t used_ = 0;
};

Result<void> write_record(RecipeReader& reader, const store::StoreContents& contents,
                          const store::Output& output) {
  const std::string kind = TRY(reader.take(1));
  const std::string first = TRY(reader.take(8));
  if (kind[0] == kLiteral) {
    if (get_number(first) > kMaxLiteralBytes)
      return Error(Code::corrupt, "a layer's recipe has a literal of {} bytes", get_number(first));
    const std::string bytes = TRY(reader.take(get_number(first)));
    return output(bytes);
  }
  if (kind[0] != kContent) return Error(Code::corrupt, "a layer's recipe has an unknown record");
  const std::string rest = TRY(reader.take(8 + oci::Digest::kBytes));
  oci::Digest::Bytes digest;
  std::memcpy(digest.data(), rest.data() + 8, digest.size());
  Entry file;
  file.path = "content";
  file.mode = static_cast<uint32_t>(get_number(first) & 07777);
  file.size_bytes = get_number(rest);
  file.object = oci::Digest(digest);
  return contents.read(file, output);
}

}  // namespace

Result<void> write_from_recipe(const store::Store& store, const Entry& recipe,
                               const store::Output& output) {
  const std::string path = store.object_path(*recipe.object, recipe.mode);
  const os::MappedFile file = TRY(os::MappedFile::open(path, SIZE_MAX), "reading a layer's recipe");
  std::string_view left = file.bytes();
  archive::Source raw = [left]() mutable -> Result<std::string_view> {
    return std::exchange(left, {});
  };
  archive::Source plain = TRY(archive::decompress(std::move(raw), archive::TarFilter::zstd));
  RecipeReader reader(std::move(plain));
  const std::string magic = TRY(reader.take(kMagic.size()));
  if (magic != kMagic) return Error(Code::corrupt, "a layer's recipe is none");
  const store::StoreContents contents(store);
  while (true) {
    const bool is_end = TRY(reader.at_end());
    if (is_end) return {};
    TRY(write_record(reader, contents, output));
  }
}

}  // namespace kist::images
