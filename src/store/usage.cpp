#include "store/usage.h"

#include <unordered_map>

#include "store/inventory.h"

namespace kist::store {
namespace {

struct Content {
  uint64_t size_bytes;
  uint32_t last_item;  // Index + 1 of the last item in which it was seen.
  bool is_shared;
};
using Contents = std::unordered_map<ObjectKey, Content, ObjectKeyHash>;

// Calls visit(entry) for each file of the item.
template <class Visit>
Result<void> each_entry(const Store& store, const UsageItem& item, Visit visit) {
  for (const oci::Digest& digest : item.trees) {
    const Result<Tree> tree = store.tree(digest);
    if (!tree) {
      if (tree.error().code() == Code::not_found) continue;
      return Error(tree.error()).context("measuring " + item.name);
    }
    for (const Entry& entry : tree->entries())
      if (entry.object) visit(entry);
  }
  return {};
}

}  // namespace

Result<std::vector<Usage>> measure_usage(const Store& store, std::span<const UsageItem> items) {
  std::vector<Usage> usages;
  Contents contents;
  for (const UsageItem& item : items) {
    Usage usage;
    usage.name = item.name;
    const auto number = static_cast<uint32_t>(usages.size() + 1);
    TRY(each_entry(store, item, [&](const Entry& entry) {
      ++usage.files;
      usage.apparent_bytes += entry.size_bytes;
      const auto [at, is_new] = contents.try_emplace(ObjectKey(*entry.object, entry.mode),
                                                     Content{entry.size_bytes, number, false});
      if (!is_new && at->second.last_item != number) {
        at->second.last_item = number;
        at->second.is_shared = true;
      }
    }));
    usages.push_back(std::move(usage));
  }
  // A second look, now that it is known who shares what.
  for (size_t i = 0; i < items.size(); ++i) {
    ObjectSet seen;
    TRY(each_entry(store, items[i], [&](const Entry& entry) {
      const ObjectKey key(*entry.object, entry.mode);
      if (!seen.insert(key).second) return;
      const auto found = contents.find(key);
      if (found == contents.end()) return;  // The tree came back meanwhile.
      (found->second.is_shared ? usages[i].shared_bytes : usages[i].unique_bytes) +=
          entry.size_bytes;
    }));
  }
  return usages;
}

Result<std::vector<UsageItem>> named_items(const Store& store, std::string_view prefix) {
  std::vector<UsageItem> items;
  const std::vector<NameRecord> names = TRY(list_name_records(store));
  for (const NameRecord& record : names) {
    if (!record.tree || !record.name.starts_with(prefix)) continue;
    items.push_back({record.name, {*record.tree}});
  }
  return items;
}

Result<std::vector<UsageItem>> environment_items(const Store& store) {
  std::vector<UsageItem> items;
  const std::vector<Pin> pins = TRY(list_pins(store));
  for (const Pin& pin : pins) {
    if (pin.owner != Pin::Owner::environment) continue;
    if (items.empty() || items.back().name != pin.name) items.push_back({pin.name, {}});
    items.back().trees.push_back(pin.tree);
  }
  return items;
}

Result<StoreSize> measure_store(const Store& store) {
  StoreSize size;
  const auto count = [&](std::string_view kind, uint64_t& number, uint64_t& bytes) {
    return each_file(store, kind,
                     [&](const os::Fd& shard, const std::string& name,
                         std::string_view shard_name) -> Result<void> {
                       const auto file = look_at(shard, name);
                       const bool is_ours = parse_object_name(shard_name, name).has_value();
                       if (!file) return {};
                       if (is_ours) ++number;
                       (is_ours ? bytes : size.other_bytes) += file->disk_bytes;
                       return {};
                     });
  };
  TRY(count(kObjectsFolder, size.objects, size.object_bytes));
  TRY(count(kTreesFolder, size.trees, size.tree_bytes));
  const std::vector<RootRecord> roots = TRY(list_roots(store));
  for (const RootRecord& root : roots) {
    ++size.roots;
    size.root_bytes += own_disk_bytes(root.folder, [](uint64_t) {});
  }
  for (const std::string_view folder : {kStagingFolder, kQuarantineFolder})
    size.other_bytes += own_disk_bytes(os::join(store.home(), folder), [](uint64_t) {});
  return size;
}

}  // namespace kist::store
