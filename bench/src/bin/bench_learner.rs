fn main() { dragoman_bench::learner::probe() }
