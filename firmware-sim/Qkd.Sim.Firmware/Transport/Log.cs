using Microsoft.Extensions.Logging;

namespace Qkd.Sim.Firmware.Transport;

/// <summary>What the emulated instruments with plain byte lines log.</summary>
internal static partial class Log
{
    [LoggerMessage(3301, LogLevel.Information, "Emulated {Instrument}: fault {Fault}")]
    public static partial void FaultInjected(ILogger logger, string instrument, InstrumentFault fault);
}
