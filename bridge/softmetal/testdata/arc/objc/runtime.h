// What GNUstep's headers need of objc/runtime.h, where libobjc2, the runtime that has ARC, is not
// installed: enough to check types.
#pragma once
#include <objc/objc.h>
typedef struct objc_method *Method;
typedef struct objc_ivar *Ivar;
typedef struct objc_category *Category;
typedef struct objc_property *objc_property_t;
