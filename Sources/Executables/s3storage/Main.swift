import Glibc
import Runtime

/// The one executable: parses the command, builds the object graph and runs.
@main
enum Main {
  static func main() async {
    ProcessEnvironment.holdSignals()
    ProcessEnvironment.tuneAllocator()
    exit(await CommandLineTool.run(Array(CommandLine.arguments.dropFirst())))
  }
}
