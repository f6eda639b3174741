// Changes of a copied tree are written back into the tree it was copied from, all or none of them.
//
// Everything new is first written beside, into a directory in the tree itself (so on the same filesystem), then a
// journal says what is to be done with it, and only then entries are exchanged, each by a rename. What fails in between
// is undone. What is killed in between is completed by whoever comes next, the journal in hand.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "front/sandbox/snapshot.h"

namespace nucleus::front {

inline constexpr std::string_view kStagePrefix = ".nucleus-sync-";

// `tree` is written to, `copy` read; both are directories. Owners are those of what is replaced, else the tree's.
Result<> WriteBack(int tree, int copy, const TreeChanges& changes, const std::string& id);

// Completes, or where there is no journal yet takes away, what a killed WriteBack has left in the tree.
Result<> CompleteWriteBack(int tree);

}  // namespace nucleus::front
