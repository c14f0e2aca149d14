// wheel_install_to_folder PYTHON PREFIX OUT WHEEL...
// Installs wheels into a plain folder, OUT being the root: what wheels_against_pip.py compares with
// pip. Prints "WHEEL: warning" for each warning, and fails with the error as kist would show it.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>
#include <set>

#include "base/text.h"
#include "os/files.h"
#include "python/install.h"

namespace {

using namespace kist;

// Contents as files named by their hash and mode; placing one is a link.
class FolderSink final : public store::ObjectSink {
 public:
  explicit FolderSink(std::string folder) : folder_(std::move(folder)) {}

  Result<store::Object> put(std::string_view bytes, uint32_t mode) override {
    std::unique_ptr<store::ObjectWriter> writer = TRY(begin(mode));
    TRY(writer->write(bytes));
    return TRY(writer->finish());
  }

  Result<std::unique_ptr<store::ObjectWriter>> begin(uint32_t mode) override {
    std::string path;
    {
      const std::lock_guard lock(mutex_);
      path = fmt::format("{}/new-{}", folder_, ++count_);
    }
    auto fd = os::open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (!fd) return std::move(fd).error();
    return std::unique_ptr<store::ObjectWriter>(
        new Writer(*this, std::move(path), std::move(*fd), mode));
  }

  std::string path_of(const oci::Digest& digest, uint32_t mode) const {
    return fmt::format("{}/{}-{:o}", folder_, digest.hex(), mode);
  }

 private:
  class Writer final : public store::ObjectWriter {
   public:
    Writer(FolderSink& sink, std::string path, os::Fd fd, uint32_t mode)
        : sink_(sink), path_(std::move(path)), fd_(std::move(fd)), mode_(mode) {}

    Result<void> write(std::string_view bytes) override {
      hasher_.update(bytes);
      size_bytes_ += bytes.size();
      return os::write_all(fd_, bytes);
    }

    Result<store::Object> finish() override {
      const oci::Digest digest = hasher_.finish();
      if (::fchmod(fd_.get(), mode_) != 0) return Error::from_errno(errno, "chmod '{}'", path_);
      TRY(std::move(fd_).close());
      if (::rename(path_.c_str(), sink_.path_of(digest, mode_).c_str()) != 0)
        return Error::from_errno(errno, "rename '{}'", path_);
      return store::Object{.digest = digest, .size_bytes = size_bytes_};
    }

   private:
    FolderSink& sink_;
    std::string path_;
    os::Fd fd_;
    uint32_t mode_;
    oci::Sha256 hasher_;
    uint64_t size_bytes_ = 0;
  };

  std::string folder_;
  std::mutex mutex_;
  uint64_t count_ = 0;
};

Result<void> place(const store::Tree& tree, const FolderSink& sink, const std::string& out) {
  for (const store::Entry& entry : tree.entries()) {
    const std::string path = os::join(out, entry.path);
    if (entry.kind == store::Kind::folder) {
      TRY(os::make_folders(path, entry.mode));
      continue;
    }
    KIST_ASSERT(entry.kind == store::Kind::file && entry.object);  // Wheels have nothing else.
    if (::link(sink.path_of(*entry.object, entry.mode).c_str(), path.c_str()) != 0)
      return Error::from_errno(errno, "link '{}'", printable(path));
  }
  return {};
}

Result<void> run(int count, char** args) {
  if (count < 5) return Error(Code::invalid, "want PYTHON PREFIX OUT WHEEL...");
  const python::InstallTarget target{.prefix = args[2], .python_minor = args[1]};
  const std::string out = args[3];
  const std::string objects = out + ".objects";
  TRY(os::make_folders(out));
  TRY(os::make_folders(objects));
  FolderSink sink(objects);
  os::Workers workers(os::core_count() - 1);
  for (int i = 4; i < count; ++i) {
    const std::string name(os::name_of(args[i]));
    const python::InstalledWheel wheel =
        TRY(python::install_wheel(args[i], {.file_name = name, .name = "", .version = ""}, target,
                                  sink, workers));
    for (const std::string& warning : wheel.warnings)
      std::printf("%s: %s\n", printable(name).c_str(), warning.c_str());
    TRY(place(wheel.tree, sink, out));
  }
  return os::remove_tree(objects);
}

}  // namespace

int main(int count, char** args) {
  const Result<void> done = run(count, args);
  if (!done) std::fputs(done.error().render().c_str(), stderr);
  return done ? 0 : 1;
}
