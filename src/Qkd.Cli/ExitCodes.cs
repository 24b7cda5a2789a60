namespace Qkd.Cli;

/// <summary>What the command says to the shell.</summary>
internal static class ExitCodes
{
    /// <summary>Done.</summary>
    public const int Success = 0;

    /// <summary>Not done; one sentence on stderr says why.</summary>
    public const int Failure = 1;

    /// <summary>The command line or the configuration makes no sense.</summary>
    public const int WrongUse = 2;
}
