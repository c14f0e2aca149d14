#include "engine/edit_backup.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <utility>

#include "base/text.h"
#include "os/files.h"

namespace kist::engine {

constexpr std::array kPolite{SIGINT, SIGTERM, SIGHUP, SIGQUIT};

struct EditFiles {
  struct File {
    std::string path;
    std::string kept;  // Empty: there was no file.
  };
  std::vector<File> files;
  std::string journal;
  std::array<struct sigaction, kPolite.size()> before = {};
  bool is_watched = false;
};

namespace {

constexpr uint64_t kMaxJournalBytes = 1 << 20;
constexpr char kKept = 'k';
constexpr char kNew = 'n';

// The one thing that a signal handler can be told. Taken out by whoever ends the edit; what a
// handler has taken is never freed, since the process ends there.
std::atomic<EditFiles*> g_in_work = nullptr;

// Beside the file, so that one rename puts it back.
std::string kept_name(const std::string& path) {
  return os::join(os::parent_of(path), fmt::format(".{}.kist-before", os::name_of(path)));
}

Result<void> keep_aside(const EditFiles::File& file) {
  ::unlink(file.kept.c_str());
  if (::link(file.path.c_str(), file.kept.c_str()) == 0) return {};
  // Not every file system has links.
  struct stat found = {};
  if (::stat(file.path.c_str(), &found) != 0)
    return Error::from_errno(errno, "stat '{}'", printable(file.path));
  const std::string text = TRY(os::read_file(file.path));
  return os::write_file_durably(file.kept, text, found.st_mode & 0777);
}

// Records: how, the path, a NUL (which no path has).
std::string encode(const std::vector<EditFiles::File>& files) {
  std::string out;
  for (const EditFiles::File& file : files) {
    out += file.kept.empty() ? kNew : kKept;
    out += file.path;
    out += '\0';
  }
  return out;
}

std::vector<EditFiles::File> decode(std::string_view text) {
  std::vector<EditFiles::File> files;
  for (const std::string_view record : split(text, '\0')) {
    if (record.size() < 2) continue;
    const std::string path(record.substr(1));
    files.push_back({path, record[0] == kKept ? kept_name(path) : ""});
  }
  return files;
}

// Called from a signal handler too. An errno, or 0. What is not there was not changed yet.
int put_back(const EditFiles::File& file) {
  const int done = file.kept.empty() ? ::unlink(file.path.c_str())
                                     : ::rename(file.kept.c_str(), file.path.c_str());
  if (done != 0) return errno == ENOENT ? 0 : errno;
  // Renaming one name of a file to another of its names is defined to do nothing.
  if (!file.kept.empty()) ::unlink(file.kept.c_str());
  return 0;
}

Result<void> put_all_back(const std::vector<EditFiles::File>& files, const std::string& journal) {
  for (const EditFiles::File& file : files)
    if (const int error = put_back(file); error != 0)
      return Error::from_errno(error, "put back '{}'", printable(file.path));
  ::unlink(journal.c_str());
  return {};
}

// Restores, then lets the signal do what it would have done: the caller's shell sees by what we
// died (130 for ^C).
void on_signal(int number) {
  if (const EditFiles* edit = g_in_work.exchange(nullptr)) {
    for (const EditFiles::File& file : edit->files) (void)put_back(file);
    ::unlink(edit->journal.c_str());
  }
  ::signal(number, SIG_DFL);
  sigset_t one;
  ::sigemptyset(&one);
  ::sigaddset(&one, number);
  ::raise(number);
  ::pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
}

void watch_signals(EditFiles& edit) {
  edit.is_watched = true;
  g_in_work = &edit;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  ::sigfillset(&action.sa_mask);
  for (size_t i = 0; i < kPolite.size(); ++i) {
    ::sigaction(kPolite[i], nullptr, &edit.before[i]);
    // Who started us (nohup) wants it ignored.
    if (edit.before[i].sa_handler != SIG_IGN) ::sigaction(kPolite[i], &action, nullptr);
  }
}

// Waits for the end when a handler was faster.
EditFiles& take_from_signals(EditFiles& edit) {
  if (g_in_work.exchange(nullptr) == nullptr)
    while (true) ::pause();
  for (size_t i = 0; i < kPolite.size(); ++i) ::sigaction(kPolite[i], &edit.before[i], nullptr);
  return edit;
}

}  // namespace

std::string edit_journal(const Project& project) {
  return os::join(project.store_folder, project.environment + ".edits");
}

Result<os::FileLock> guard_edits(const Project& project) {
  TRY(os::make_folders(project.store_folder, 0700));
  os::FileLock guard =
      TRY(os::FileLock::acquire(os::join(project.store_folder, project.environment + ".lock"),
                                os::FileLock::Mode::exclusive));
  TRY(recover_edits(edit_journal(project)));
  return guard;
}

Result<EditBackup> EditBackup::begin(std::string journal, std::vector<std::string> paths) {
  KIST_ASSERT(g_in_work.load() == nullptr);
  EditBackup backup;
  backup.files_ = new EditFiles;
  backup.files_->journal = std::move(journal);
  for (std::string& path : paths) {
    std::string kept = os::exists(path) ? kept_name(path) : "";
    backup.files_->files.push_back({std::move(path), std::move(kept)});
  }
  // From here on whoever comes after us knows; and from the next step on, so does a signal.
  TRY(os::write_file_durably(backup.files_->journal, encode(backup.files_->files)));
  watch_signals(*backup.files_);
  for (const EditFiles::File& file : backup.files_->files)
    if (!file.kept.empty()) TRY(keep_aside(file), "keeping '{}' as it is", printable(file.path));
  return backup;
}

EditBackup::EditBackup(EditBackup&& other) noexcept : files_(std::exchange(other.files_, nullptr)) {}

EditBackup::~EditBackup() { (void)std::move(*this).restore().has_value(); }

Result<void> EditBackup::restore() && {
  if (files_ == nullptr) return {};
  EditFiles* const edit = std::exchange(files_, nullptr);
  if (edit->is_watched) take_from_signals(*edit);
  const EditFiles taken = std::move(*edit);
  delete edit;
  return put_all_back(taken.files, taken.journal);
}

void EditBackup::keep() && {
  EditFiles* const edit = std::exchange(files_, nullptr);
  const EditFiles taken = std::move(take_from_signals(*edit));
  delete edit;
  // The journal first: what it names would be put back.
  ::unlink(taken.journal.c_str());
  for (const EditFiles::File& file : taken.files)
    if (!file.kept.empty()) ::unlink(file.kept.c_str());
}

Result<bool> recover_edits(const std::string& journal) {
  if (!os::exists(journal)) return false;
  const std::string text = TRY(os::read_file(journal, kMaxJournalBytes));
  TRY(put_all_back(decode(text), journal));
  return true;
}

}  // namespace kist::engine
