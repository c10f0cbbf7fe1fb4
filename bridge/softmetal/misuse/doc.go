// Package misuse calls the stand-ins of package softmetal wrongly, for the tests that show what they
// catch: the bridge checks its arguments and never makes these mistakes.
package misuse
