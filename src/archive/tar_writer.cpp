#include "archive/tar_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <optional>

#include "base/text.h"

namespace kist::archive {

struct TarWriter::State {
  ::archive* handle = nullptr;
  Output output;
  std::optional<Error> error;
  ~State() {
    // Not written to the end: the end would be a lie.
    if (handle != nullptr) ::archive_write_fail(handle), ::archive_write_free(handle);
  }
  // What libarchive could not do; the output's own error first.
  Error failed() {
    if (error) return std::move(*error);
    const char* said = ::archive_error_string(handle);
    return Error(Code::invalid, "writing the tar: {}", said == nullptr ? "unknown" : printable(said));
  }
};

namespace {

template <class State>
la_ssize_t push(::archive*, void* user, const void* bytes, size_t size) {
  auto* state = static_cast<State*>(user);
  auto done = state->output({static_cast<const char*>(bytes), size});
  if (done) return static_cast<la_ssize_t>(size);
  state->error = std::move(done).error();
  return -1;
}

mode_t type_of(TarKind kind) {
  switch (kind) {
    case TarKind::folder: return S_IFDIR;
    case TarKind::symlink: return S_IFLNK;
    case TarKind::character_device: return S_IFCHR;
    case TarKind::block_device: return S_IFBLK;
    case TarKind::fifo: return S_IFIFO;
    default: return S_IFREG;
  }
}

}  // namespace

TarWriter::TarWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
TarWriter::TarWriter(TarWriter&&) noexcept = default;
TarWriter& TarWriter::operator=(TarWriter&&) noexcept = default;
TarWriter::~TarWriter() = default;

Result<TarWriter> TarWriter::open(Output output) {
  auto state = std::make_unique<State>();
  state->output = std::move(output);
  state->handle = ::archive_write_new();
  if (state->handle == nullptr) return Error(Code::unavailable, "writing a tar: out of memory");
  ::archive* handle = state->handle;
  // Names are bytes, whatever the locale: one that is not ASCII is marked as binary by itself (marking all
  // makes GNU tar warn of each file). Attributes in the form that docker writes.
  if (::archive_write_set_format_pax_restricted(handle) != ARCHIVE_OK ||
      ::archive_write_set_format_option(handle, nullptr, "xattrheader", "SCHILY") != ARCHIVE_OK ||
      ::archive_write_set_bytes_per_block(handle, 64 << 10) != ARCHIVE_OK ||
      ::archive_write_set_bytes_in_last_block(handle, 512) != ARCHIVE_OK ||
      ::archive_write_open(handle, state.get(), nullptr, push<State>, nullptr) != ARCHIVE_OK)
    return state->failed();
  return TarWriter(std::move(state));
}

Result<void> TarWriter::begin(const TarEntry& entry) {
  const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> header(::archive_entry_new(), archive_entry_free);
  ::archive_entry_set_pathname(header.get(), entry.path.c_str());
  ::archive_entry_set_mode(header.get(), type_of(entry.kind) | (entry.mode & 07777));
  ::archive_entry_set_uid(header.get(), static_cast<la_int64_t>(entry.uid));
  ::archive_entry_set_gid(header.get(), static_cast<la_int64_t>(entry.gid));
  ::archive_entry_set_mtime(header.get(), entry.mtime_s, 0);
  ::archive_entry_set_size(header.get(), entry.kind == TarKind::file ? static_cast<la_int64_t>(entry.size_bytes) : 0);
  if (entry.kind == TarKind::symlink) ::archive_entry_set_symlink(header.get(), entry.target.c_str());
  if (entry.kind == TarKind::hardlink) ::archive_entry_set_hardlink(header.get(), entry.target.c_str());
  if (entry.kind == TarKind::character_device || entry.kind == TarKind::block_device) {
    ::archive_entry_set_rdevmajor(header.get(), entry.device_major);
    ::archive_entry_set_rdevminor(header.get(), entry.device_minor);
  }
  for (const auto& [name, value] : entry.xattrs)
    ::archive_entry_xattr_add_entry(header.get(), name.c_str(), value.data(), value.size());
  if (::archive_write_header(state_->handle, header.get()) < ARCHIVE_WARN) return state_->failed();
  return {};
}

Result<void> TarWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const la_ssize_t wrote = ::archive_write_data(state_->handle, bytes.data(), bytes.size());
    if (wrote < 0) return state_->failed();
    if (wrote == 0) return {};
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return {};
}

Result<void> TarWriter::finish() && {
  if (::archive_write_close(state_->handle) != ARCHIVE_OK) return state_->failed();
  ::archive_write_free(state_->handle);
  state_->handle = nullptr;
  return {};
}

}  // namespace kist::archive
