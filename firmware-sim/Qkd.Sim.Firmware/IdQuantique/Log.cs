using Microsoft.Extensions.Logging;

namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>What the emulated ID900 logs.</summary>
internal static partial class Log
{
    [LoggerMessage(3401, LogLevel.Information, "Emulated ID900 {Name}: fault {Fault}")]
    public static partial void Id900Fault(ILogger logger, string name, InstrumentFault fault);

    [LoggerMessage(3402, LogLevel.Warning, "Emulated ID900 {Name}: a socket failed")]
    public static partial void Id900SocketFailed(ILogger logger, string name, Exception exception);
}
