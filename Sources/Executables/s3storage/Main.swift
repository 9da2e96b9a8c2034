import Glibc
import Runtime

/// The one executable: parses the command, builds the object graph and runs.
@main
enum Main {
  static func main() async {
    ProcessEnvironment.holdSignals()
    ProcessEnvironment.tuneAllocator()
    let arguments = Array(CommandLine.arguments.dropFirst())
    Signals.watch(endingWith: CommandLineTool.isServer(arguments) ? 0 : 130)
    exit(await CommandLineTool.run(arguments))
  }
}
