// What the options of a mount mean. Each sets or clears one attribute; for a file system that is to
// be mounted the attributes go into the flags of mount(2), for a bind into mount_setattr(2).
#include <linux/mount.h>
#include <sys/mount.h>

#include "bundle/spec_reader.h"
#include "bundle/spec_words.h"

namespace kist::bundle {
namespace {

struct Attribute {
  std::string_view name;
  unsigned long flag;   // Of mount(2).
  uint64_t attribute;   // Of mount_setattr(2); 0: the file system's own, not the mount's.
  bool clear;
};

constexpr Attribute kAttributes[] = {
    {"ro", MS_RDONLY, MOUNT_ATTR_RDONLY, false},
    {"rw", MS_RDONLY, MOUNT_ATTR_RDONLY, true},
    {"nosuid", MS_NOSUID, MOUNT_ATTR_NOSUID, false},
    {"suid", MS_NOSUID, MOUNT_ATTR_NOSUID, true},
    {"nodev", MS_NODEV, MOUNT_ATTR_NODEV, false},
    {"dev", MS_NODEV, MOUNT_ATTR_NODEV, true},
    {"noexec", MS_NOEXEC, MOUNT_ATTR_NOEXEC, false},
    {"exec", MS_NOEXEC, MOUNT_ATTR_NOEXEC, true},
    {"nodiratime", MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, false},
    {"diratime", MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, true},
    {"nosymfollow", 256, 0x200000, false},
    {"symfollow", 256, 0x200000, true},
    {"sync", MS_SYNCHRONOUS, 0, false},
    {"async", MS_SYNCHRONOUS, 0, true},
    {"dirsync", MS_DIRSYNC, 0, false},
    {"mand", MS_MANDLOCK, 0, false},
    {"nomand", MS_MANDLOCK, 0, true},
    {"iversion", MS_I_VERSION, 0, false},
    {"noiversion", MS_I_VERSION, 0, true},
    {"lazytime", MS_LAZYTIME, 0, false},
    {"nolazytime", MS_LAZYTIME, 0, true},
    {"silent", MS_SILENT, 0, false},
    {"loud", MS_SILENT, 0, true},
};

// Exactly one of these holds, so setting one clears the field first.
constexpr Attribute kAccessTimes[] = {
    {"relatime", MS_RELATIME, MOUNT_ATTR_RELATIME, false},
    {"noatime", MS_NOATIME, MOUNT_ATTR_NOATIME, false},
    {"strictatime", MS_STRICTATIME, MOUNT_ATTR_STRICTATIME, false},
    {"norelatime", MS_RELATIME, MOUNT_ATTR_STRICTATIME, true},
    {"nostrictatime", MS_STRICTATIME, MOUNT_ATTR_RELATIME, true},
    {"atime", MS_NOATIME, MOUNT_ATTR_RELATIME, true},
};

constexpr std::string_view kNames[] = {
    "acl", "async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "idmap",
    "iversion", "lazytime", "loud", "mand", "noatime", "nodev", "nodiratime", "noexec",
    "noiversion", "nolazytime", "nomand", "norelatime", "nostrictatime", "nosuid", "nosymfollow",
    "private", "ratime", "rbind", "rdev", "rdiratime", "relatime", "remount", "rexec", "ridmap",
    "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime", "rnosuid",
    "rnosymfollow", "ro", "rprivate", "rrelatime", "rro", "rrw", "rshared", "rslave",
    "rstrictatime", "rsuid", "rsymfollow", "runbindable", "rw", "shared", "silent", "slave",
    "strictatime", "suid", "symfollow", "sync", "tmpcopyup", "unbindable"};

void change(const Attribute& attribute, MountOptions& options) {
  if (attribute.clear)
    options.flags &= ~attribute.flag;
  else
    options.flags |= attribute.flag;
  (attribute.clear ? options.attributes_cleared : options.attributes_set) |= attribute.attribute;
  (attribute.clear ? options.attributes_set : options.attributes_cleared) &= ~attribute.attribute;
}

void change_access_time(const Attribute& wanted, uint64_t& set, uint64_t& cleared) {
  cleared |= MOUNT_ATTR__ATIME;
  set = (set & ~uint64_t{MOUNT_ATTR__ATIME}) | wanted.attribute;
}

bool add_attribute(std::string_view option, MountOptions& options) {
  for (const Attribute& attribute : kAttributes) {
    if (attribute.name != option) continue;
    change(attribute, options);
    return true;
  }
  for (const Attribute& wanted : kAccessTimes) {
    if (wanted.name != option) continue;
    options.flags &= ~static_cast<unsigned long>(MS_NOATIME | MS_RELATIME | MS_STRICTATIME);
    if (!wanted.clear) options.flags |= wanted.flag;
    change_access_time(wanted, options.attributes_set, options.attributes_cleared);
    return true;
  }
  return false;
}

// "rro", "rnosuid" …
bool add_recursive(std::string_view option, MountOptions& options) {
  if (!option.starts_with('r')) return false;
  const std::string_view plain = option.substr(1);
  for (const Attribute& attribute : kAttributes) {
    if (attribute.name != plain || attribute.attribute == 0) continue;
    (attribute.clear ? options.recursive_cleared : options.recursive_set) |= attribute.attribute;
    (attribute.clear ? options.recursive_set : options.recursive_cleared) &= ~attribute.attribute;
    return true;
  }
  for (const Attribute& wanted : kAccessTimes) {
    if (wanted.name != plain) continue;
    change_access_time(wanted, options.recursive_set, options.recursive_cleared);
    return true;
  }
  return false;
}

}  // namespace

std::span<const std::string_view> mount_option_names() { return kNames; }

void add_mount_option(std::string_view option, MountOptions& options) {
  if (option.empty() || option == "defaults") return;
  if (option == "bind" || option == "rbind") {
    options.bind = true;
    options.recursive |= option == "rbind";
  } else if (option == "remount") {
    options.remount = true;
  } else if (option == "tmpcopyup") {
    options.copy_up = true;
  } else if (option == "idmap" || option == "ridmap") {
    options.id_map = true;
    options.id_map_recursive |= option == "ridmap";
  } else if (option == "acl") {
    options.flags |= MS_POSIXACL;
  } else if (const auto propagation = number_of(propagation_words(), option)) {
    options.propagation.push_back(*propagation);
  } else if (!add_attribute(option, options) && !add_recursive(option, options)) {
    if (!options.data.empty()) options.data += ',';
    options.data += option;
  }
}

}  // namespace kist::bundle
