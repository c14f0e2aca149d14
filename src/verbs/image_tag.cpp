// kist tag IMAGE NAME
#include "environment/root_variant.h"
#include "verbs/image_verbs.h"

namespace kist::verbs {

Result<int> tag_verb(const cli::Parsed& parsed, const environment::Context& context,
                     cli::Terminal& terminal) {
  (void)terminal;
  const images::ImageStore store(context.store);
  const images::Image image = TRY(store.find(parsed.positionals()[0]));
  const oci::Reference name = TRY(oci::Reference::parse(parsed.positionals()[1]), "NAME");
  if (name.digest)
    return Error(Code::invalid, "refusing to create a tag with a digest reference")
        .hint("write it as `[REGISTRY/]NAME[:TAG]`");
  TRY(store.tag(image, name.name(), environment::variant_of(context)));
  note_image(context, "tag", image.id, name.name());
  return 0;
}

}  // namespace kist::verbs
