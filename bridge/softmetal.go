//go:build softmetal && linux && cgo

package bridge

import _ "ldm-mac/bridge/softmetal" // the classes that bridge.m uses
