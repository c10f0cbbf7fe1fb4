package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// step is one parallel part of a node's work: run is called once for each part, by any worker.
type step struct {
	parts  int
	serial bool // too little work to wake the others for
	run    func(w *worker, part int)
}

// worker is one goroutine's identity and scratch memory.
type worker struct {
	scratch []float32
	parked  atomic.Bool
	wake    chan struct{}
}

// pool hands the parts of one step at a time to a fixed set of workers, the first of which is the
// caller. Workers wait for the next step in a short loop before they park: steps follow each
// other within microseconds, and to wake a thread takes longer than many of them.
type pool struct {
	workers   []*worker
	step      *step
	remaining atomic.Int64 // parts that nobody has taken
	done      atomic.Int64 // parts that are finished
	waiting   atomic.Bool  // the caller is parked
	finished  chan struct{}
	closed    atomic.Bool
	running   sync.WaitGroup
}

// spins is how often a waiting goroutine looks for work before it parks, about 50 µs.
const spins = 2000

func newPool(threads int) *pool {
	p := &pool{finished: make(chan struct{}, 1)}
	for i := range threads {
		w := &worker{wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		if i > 0 {
			p.running.Go(func() { p.serve(w) })
		}
	}
	return p
}

// run computes all parts of s.
func (p *pool) run(s *step) {
	self := p.workers[0]
	if s.serial || s.parts == 1 || len(p.workers) == 1 || p.closed.Load() {
		for i := range s.parts {
			s.run(self, i)
		}
		return
	}
	p.step = s
	p.done.Store(0)
	p.remaining.Store(int64(s.parts))
	for _, w := range p.workers[1:min(len(p.workers), s.parts)] {
		w.unpark()
	}
	p.take(self)
	for i := 0; p.done.Load() < int64(s.parts); i++ {
		if i < spins {
			pause(i)
			continue
		}
		p.waiting.Store(true)
		if p.done.Load() == int64(s.parts) && p.waiting.CompareAndSwap(true, false) {
			return
		}
		<-p.finished
	}
}

// take computes parts until none is left. A part is taken before the step is read: the caller
// replaces the step only when all parts are done.
func (p *pool) take(w *worker) {
	for {
		left := p.remaining.Load()
		if left <= 0 {
			return
		}
		if !p.remaining.CompareAndSwap(left, left-1) {
			continue
		}
		s := p.step
		parts := int64(s.parts)
		s.run(w, s.parts-int(left))
		if p.done.Add(1) == parts && p.waiting.CompareAndSwap(true, false) {
			p.finished <- struct{}{}
		}
	}
}

func (p *pool) serve(w *worker) {
	for i := 0; !p.closed.Load(); i++ {
		if p.remaining.Load() > 0 {
			p.take(w)
			i = 0
		}
		if i < spins {
			pause(i)
			continue
		}
		i = 0
		w.parked.Store(true)
		if (p.remaining.Load() > 0 || p.closed.Load()) && w.parked.CompareAndSwap(true, false) {
			continue
		}
		<-w.wake
	}
}

func (w *worker) unpark() {
	if w.parked.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}

// pause lets other goroutines run now and then: there may be fewer cores than workers.
func pause(i int) {
	if i%64 == 63 {
		runtime.Gosched()
	}
}

// close ends the workers; run then computes alone.
func (p *pool) close() {
	p.closed.Store(true)
	for _, w := range p.workers[1:] {
		w.unpark()
	}
	p.running.Wait()
}
